"""The studies before and after the one on show."""

from __future__ import annotations

import pytest

from dashboard.session.worklist import WorkItem, Worklist
from dashboard.widgets import study_steps as steps

IDS = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("current", "before", "after"),
    [("a", None, "b"), ("b", "a", "c"), ("c", "b", None), ("made for a link", None, None)],
)
def test_steps_go_through_the_data_set(monkeypatch, current, before, after):
    monkeypatch.setattr(steps, "current_worklist", lambda: None)
    found = [None if step is None else step.to for step in steps.study_steps(current, IDS)]
    assert found == [before, after]


@pytest.mark.parametrize(("place", "before", "after"), [(0, None, 1), (1, 0, None)])
def test_steps_go_through_the_list_where_there_is_one(monkeypatch, place, before, after):
    items = (WorkItem("c", "missed"), WorkItem("a", "false alarm"))
    worklist = Worklist("Errors", items, "diagnosis", place=place)
    monkeypatch.setattr(steps, "current_worklist", lambda: worklist)
    found = [None if step is None else step.to for step in steps.study_steps("b", IDS)]
    assert found == [before, after]
