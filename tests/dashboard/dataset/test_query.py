import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.constants import VERTEBRAE
from core.dataset.quality import FLAG_COLUMNS
from core.dataset.study_table import StudyFilter
from dashboard.dataset.query import filter_from_query, filter_labels, filter_to_query

numbers = st.floats(0, 5_000).map(lambda v: round(v, 6))
spans = st.none() | st.tuples(numbers, numbers).filter(lambda s: s[0] < s[1])


def ordered(names):
    return st.sets(st.sampled_from(names)).map(lambda s: tuple(n for n in names if n in s))


filters = st.builds(
    StudyFilter,
    fractured=st.sampled_from([None, True, False]),
    vertebrae=ordered(VERTEBRAE),
    n_fractured=st.none() | st.integers(0, 7),
    n_boxes=spans,
    box_mm=spans,
    n_slices=spans,
    spacing_mm=spans,
    flags=ordered(FLAG_COLUMNS),
    text=st.text(max_size=80).map(str.strip),
)


@given(filters)
@settings(max_examples=150, deadline=None)
def test_a_filter_survives_the_url(wanted):
    words = filter_to_query(wanted)
    assert filter_from_query(words) == wanted
    assert set(words) == set(wanted.parts) == set(filter_labels(wanted))


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(StudyFilter.__slots__), st.text(max_size=20)))
@settings(max_examples=150, deadline=None)
def test_whatever_is_typed_into_the_url_gives_a_filter(words):
    filter_labels(filter_from_query(words))


def test_words_are_readable():
    wanted = StudyFilter(
        fractured=True, vertebrae=("C2", "C5"), n_fractured=1, spacing_mm=(0.4, 0.6),
        flags=("flag_gap",), text="77",
    )  # fmt: skip
    assert filter_to_query(wanted) == {
        "fractured": "yes", "vertebrae": "C2,C5", "n_fractured": "1", "spacing_mm": "0.4..0.6",
        "flags": "gap", "text": "77",
    }  # fmt: skip
    assert filter_labels(wanted) == {
        "fractured": "Fractured", "vertebrae": "C2 and C5 fractured",
        "n_fractured": "1 fractured vertebra", "spacing_mm": "Slice distance 0.4 to below 0.6 mm",
        "flags": "Gap", "text": "Id contains “77”",
    }  # fmt: skip


def test_nonsense_is_passed_over():
    nonsense = {"n_slices": "9..3", "box_mm": "nan..4", "n_boxes": "x", "fractured": "maybe",
                "n_fractured": "8", "vertebrae": "C9", "flags": "red"}  # fmt: skip
    assert filter_from_query(nonsense) == StudyFilter()
