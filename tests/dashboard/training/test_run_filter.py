from __future__ import annotations

from pathlib import Path

from core.config import RunConfig
from core.training.run_list import RunSummary
from core.training.run_notes import RunNotes
from dashboard.training.run_filter import matching


def run(run_id, *, tags=(), note="", archived=False, backbone="googlenet"):
    config = RunConfig(task="fracture", backbone=backbone, data_root="/d")
    notes = RunNotes(tuple(tags), note, archived)
    return RunSummary(run_id, Path(run_id), "finished", config, None, None, 0.0, notes=notes)


RUNS = [
    run("one", tags=("Baseline",), note="wide window"),
    run("two", archived=True, backbone="resnet50"),
    run("cv", tags=("folds",)),
    run("cv/fold-0"),
    run("cv/fold-1", tags=("odd",)),
]


def listed(text="", **options):
    found = matching(RUNS, text, **({"with_archived": False} | options))
    return [run.run_id for run in found]


def test_every_word_counts_wherever_it_stands_and_in_any_case():
    assert listed("baseline WINDOW") == ["one"]
    assert listed("baseline folds") == []
    assert listed("fracture googlenet finished") == ["one", "cv", "cv/fold-0", "cv/fold-1"]


def test_folds_come_with_their_run_and_bring_it():
    assert listed("folds") == ["cv", "cv/fold-0", "cv/fold-1"]
    assert listed("odd") == ["cv", "cv/fold-1"]


def test_archived_runs_are_listed_on_request_or_by_their_link():
    assert "two" not in listed()
    assert listed("resnet50") == []
    assert listed("resnet50", with_archived=True) == ["two"]
    assert "two" in listed(always="two")
    assert listed("baseline", always="two") == ["one"]
