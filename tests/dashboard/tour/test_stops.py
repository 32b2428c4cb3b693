"""The tour's table: every stop leads to a page that understands what the link asks for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.types import StudyRecord
from dashboard.dataset.query import PARTS, filter_from_query, filter_to_query
from dashboard.evaluation.view import VIEW_FIELDS, from_query, to_query
from dashboard.tour.state import SWITCH_PREFIX, SWITCHES
from dashboard.tour.stops import STOPS, example_study, stop_at, stop_number, stop_query


def record(name: str, *, fractured: bool | None, boxes: int = 0) -> StudyRecord:
    truth = None if fractured is None else (fractured, *[False] * 6)
    return StudyRecord(name, Path(name), truth, ((1, (0.0, 0.0, 1.0, 1.0)),) * boxes)


def test_the_eight_stops_are_in_order():
    titles = [stop.title for stop in STOPS]
    assert titles == [
        "Data", "Preprocessing", "Training", "Comparison", "Threshold", "One patient", "3D",
        "You against the model",
    ]  # fmt: skip


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.title)
def test_a_stop_names_a_page_and_has_something_to_say_and_to_try(stop, repo_root):
    assert (repo_root / "pages" / f"{stop.page}.py").is_file()
    # As much as can be read on a projector beside the page.
    assert 60 < len(stop.say) < 320
    assert 60 < len(stop.do) < 260


@pytest.mark.parametrize("stop", [s for s in STOPS if s.page == "evaluation"])
def test_links_to_evaluation_say_nothing_that_the_page_would_drop(stop):
    query = dict(stop.query)
    assert query.keys() <= set(VIEW_FIELDS)
    assert to_query(from_query(query)) == query


@pytest.mark.parametrize("stop", [s for s in STOPS if s.page == "dataset"])
def test_links_to_the_data_set_say_nothing_that_the_page_would_drop(stop):
    query = dict(stop.query)
    assert query.keys() <= set(PARTS)
    assert filter_to_query(filter_from_query(query)) == query


def test_the_stop_of_a_study_links_to_it():
    assert stop_query(6, "1.2.3") == {"tour": "6", "study": "1.2.3"}
    assert stop_query(6, None) == {"tour": "6"}
    assert "study" not in stop_query(1, "1.2.3")


@given(st.text(max_size=4) | st.integers(-3, 200).map(str))
def test_only_the_numbers_of_stops_are_taken(text):
    known = {str(n): n for n in range(1, len(STOPS) + 1)} | {
        f"0{n}": n for n in range(1, len(STOPS) + 1)
    }
    assert stop_number(text) == known.get(text)


def test_no_number_is_no_stop():
    assert stop_number(None) is None
    assert stop_at(1) is STOPS[0]


def test_the_example_is_the_fractured_study_with_most_boxes():
    studies = [
        record("sound", fractured=False, boxes=9),
        record("few", fractured=True, boxes=1),
        record("most", fractured=True, boxes=3),
        record("as many", fractured=True, boxes=3),
        record("unlabelled", fractured=None, boxes=5),
    ]
    assert example_study(studies) == "most"


def test_without_a_fractured_study_another_will_do():
    assert example_study([record("a", fractured=None), record("b", fractured=False)]) == "a"
    assert example_study([]) is None


def test_every_switch_that_outlives_its_page_is_put_back(repo_root):
    found, switches = set[str](), ("st.toggle", "st.checkbox")
    for file in (repo_root / "dashboard").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in switches:
                words = {word.arg: word.value for word in node.keywords}
                if "persist_state" in words:
                    found.add(ast.unparse(words["key"]))
    known = {repr(key) for key in SWITCHES} | {"state.TRUTH_KEY", "f'{key}_log'"}
    assert found - known == set()
    # The training form makes its switches by a table; `form_key` gives their prefix.
    from dashboard.session.state import form_key

    assert form_key("any").startswith(SWITCH_PREFIX)
