from __future__ import annotations

import pytest

from core.inference.agreement import agreement, opinion
from tests.core.inference.test_verdict import pair, scores, upside_down


def found(*all_scores):
    return agreement([opinion(one, pair()) for one in all_scores])


def test_votes_count_only_opinions_that_make_a_call():
    together = found(scores(0.5), scores(2.0), upside_down())
    assert together.patient_votes == (1, 1)
    assert together.vertebra_votes[:3] == ((0, 1), (1, 1), (0, 0))
    assert together.unanimous
    assert together.disputed == ()
    assert [one.verdict.call for one in together.opinions] == [
        "fractured", "out of distribution", "out of distribution",
    ]  # fmt: skip


def test_opinions_remember_which_vertebrae_were_seen():
    assert opinion(scores(2.0), pair()).seen == (True, True, *[False] * 5)


def test_opinions_that_differ_are_not_unanimous():
    sceptic = pair()
    sceptic.fracture.operating_points["patient"]["threshold"] = 1.0
    both = agreement([opinion(scores(), pair()), opinion(scores(), sceptic)])
    assert both.patient_votes == (1, 2)
    assert not both.unanimous


def test_no_opinion_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        agreement([])
