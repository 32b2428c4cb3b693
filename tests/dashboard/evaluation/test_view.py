from __future__ import annotations

from typing import get_args
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.constants import VERTEBRAE
from core.evaluation.subgroups import MEASURES
from core.evaluation.tables.attributes import Condition
from core.evaluation.wrong_calls import ErrorKind
from core.inference.aggregation import POOLINGS
from core.models.ensemble_recipe import METHODS
from dashboard.evaluation.view import (
    LEVELS,
    READ,
    RULES,
    Definition,
    EvaluationView,
    from_query,
    to_query,
)

IDS = st.from_regex(r"(bundle|run|import)\.[a-zA-Z0-9_.\-]{1,12}", fullmatch=True)
UNIT = st.floats(0, 1)
THRESHOLDS = st.one_of(st.tuples(UNIT), st.tuples(*[UNIT] * 7))
VIEWS = st.builds(
    EvaluationView,
    data=st.one_of(st.just(""), IDS),
    models=st.lists(IDS, max_size=4, unique=True).map(tuple),
    ensemble=st.sampled_from(["", *METHODS]),
    weights=st.dictionaries(IDS, UNIT, max_size=3).map(lambda d: tuple(sorted(d.items()))),
    level=st.sampled_from(LEVELS),
    definition=st.sampled_from(get_args(Definition)),
    pooling=st.sampled_from(POOLINGS),
    vertebra=st.sampled_from(["", *VERTEBRAE]),
    fold=st.one_of(st.none(), st.integers(0, 99)),
    spacing=st.one_of(
        st.none(), st.tuples(st.floats(0, 5), st.floats(0, 5)).map(lambda p: (min(p), max(p)))
    ),
    without=st.lists(st.sampled_from(["flag_gap", "flag_odd_size"]), unique=True).map(tuple),
    rule=st.sampled_from(RULES),
    target=st.floats(0.01, 100),
    same_data=st.booleans(),
    by_vertebra=st.booleans(),
    focus=st.one_of(st.just(""), IDS),
    moved=st.dictionaries(IDS, THRESHOLDS, max_size=3).map(lambda d: tuple(sorted(d.items()))),
    prevalence=st.one_of(st.none(), st.floats(0, 1, exclude_min=True, exclude_max=True)),
    errors=st.sampled_from(get_args(ErrorKind)),
    subgroups=st.sampled_from([(), ("all",), ("spacing", "csv.site.2")]),
    measure=st.sampled_from(MEASURES),
    group=st.dictionaries(
        st.sampled_from(["kernel", "csv.site"]), st.text(min_size=1, max_size=12), max_size=2
    ).map(lambda d: tuple(Condition(*pair) for pair in d.items())),
)


@pytest.mark.slow
@given(VIEWS)
def test_a_link_restores_the_view_to_the_last_bit(view):
    link = urlencode(to_query(view))
    assert from_query(dict(parse_qsl(link))) == view


def test_a_plain_view_needs_no_query():
    assert to_query(EvaluationView()) == {}


@given(st.dictionaries(st.sampled_from(list(EvaluationView.__dataclass_fields__)), st.text()))
def test_nonsense_in_a_link_is_a_default_never_an_error(query):
    view = from_query(query)
    assert view.level in LEVELS
    assert from_query(to_query(view)) == view


@pytest.mark.parametrize("wrong", ["bundle.a*1.5", "bundle.b*0.1_0.2", "*0.5"])
def test_a_moved_threshold_outside_0_to_1_or_of_the_wrong_number_is_wrong(wrong):
    assert READ["moved"](f"{wrong},bundle.c*0.25") is None
    assert READ["moved"]("bundle.c*0.25") == (("bundle.c", (0.25,)),)


def test_moving_one_model_leaves_the_others():
    view = EvaluationView().with_moved("run.b", (0.5,)).with_moved("bundle.a", (0.2,))
    assert view.with_moved("run.b", (0.6,)).moved == (("bundle.a", (0.2,)), ("run.b", (0.6,)))
    assert view.moved_of("nobody") is None
