from __future__ import annotations

import threading

import pytest

from core.errors import TaskError
from dashboard.background import budget
from dashboard.background.budget import Allowance, Turns


def test_turns_are_counted_per_session_and_in_all():
    turns = Turns("films", Allowance(at_once=1, waiting=1, per_session=1))
    inside = threading.Event()

    def waits():
        with turns.turn("b"):
            inside.set()

    with turns.turn("a"):
        with pytest.raises(TaskError, match=r"^This session has 1 films"), turns.turn("a"):
            pass
        waiting = threading.Thread(target=waits)
        waiting.start()
        while turns._asked.total() < 2:
            pass
        with pytest.raises(TaskError, match=r"^2 films are"), turns.turn("c"):
            pass
        assert not inside.is_set()
    waiting.join(5)
    assert inside.is_set()
    with turns.turn("a"):
        pass


def test_the_documents_table_has_the_limits_of_the_code(repo_root):
    text = (repo_root / "docs" / "deployment.md").read_text()
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells[2:4]]
        for line in text.splitlines()
        if len(cells := line.split("|")) == 6
    }
    for name, allowed in {
        "surfaces of a scene": budget.SURFACES,
        "scenes drawn by PyVista": budget.PYVISTA_PAGES,
        "films": budget.FILMS,
        "batches of studies": budget.BATCHES,
        "figures of Evaluation": budget.FIGURES,
    }.items():
        shared = f"{allowed.at_once}; {allowed.waiting:,} wait"
        assert rows[name] == [f"{allowed.per_session:,}", shared]
    assert rows["uploads being unpacked (or fetched from a DICOM server) and read"] == [
        str(budget.UPLOAD_JOBS.per_session), f"`UPLOAD_LANES`; {budget.UPLOAD_JOBS.waiting} wait",
    ]  # fmt: skip
    assert rows["files announced or sent"][0] == f"{budget.FILES_PER_SESSION:,}"
    arriving = rows["files arriving at the same time"][1]
    assert arriving == f"{budget.TRANSFERS.at_once}; {budget.TRANSFERS.waiting:,} wait"
