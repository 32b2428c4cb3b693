"""Runs are listed as they are: also the crashed, the torn and the unreadable."""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from core.config import RunConfig
from core.system import movement
from core.system.process_identity import is_same_process
from core.training import run_list
from core.training.provenance import fingerprint_keys, provenance
from core.training.run_list import (
    last_metrics,
    list_runs,
    read_log_tail,
    read_metrics,
    summarise_run,
)
from core.training.run_status import STALE_SECONDS
from core.training.runs import RunFolder


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.start(RunConfig(task="fracture", data_root="somewhere"), resume=False)
    return folder


def rewrite(run, **changes):
    status = replace(run.read_status(), **changes)
    run.status_file.write_text(json.dumps(asdict(status)))
    return summarise_run(run.folder)


def test_a_run_of_this_process_is_alive(run):
    shown = summarise_run(run.folder)
    assert (shown.state, shown.is_alive, shown.can_resume) == ("preparing", True, False)
    assert shown.config.task == "fracture"


def test_a_run_whose_process_is_gone_has_crashed_and_can_be_resumed(run):
    shown = rewrite(run, state="running", process_started=1.0)
    assert (shown.state, shown.is_alive, shown.can_resume) == ("crashed", False, True)


@pytest.fixture
def later(monkeypatch):
    """Let time pass by this process's own clock."""
    real, ahead = movement.time.monotonic, [0.0]
    monkeypatch.setattr(movement.time, "monotonic", lambda: real() + ahead[0])

    def pass_by(seconds):
        ahead[0] += seconds

    return pass_by


def test_a_living_run_without_a_sign_of_life_is_stalled(run, later):
    assert rewrite(run, state="running").state == "running"
    later(STALE_SECONDS + 1)
    shown = summarise_run(run.folder)
    assert (shown.state, shown.is_alive, shown.can_resume) == ("stalled", True, True)
    assert rewrite(run, step=1).state == "running"


@pytest.mark.parametrize("jump", [-600.0, 600.0])
def test_the_clock_of_another_machine_neither_hides_nor_makes_a_stall(run, later, jump):
    heartbeat = run.read_status().heartbeat + jump
    for step in range(4):
        later(STALE_SECONDS / 2)
        assert rewrite(run, state="running", step=step, heartbeat=heartbeat).state == "running"
    later(STALE_SECONDS + 1)
    assert summarise_run(run.folder).state == "stalled"


def test_a_run_over_folds_lives_by_the_fold_that_prepares(tmp_path, later):
    whole = RunFolder(tmp_path / "runs" / "cv")
    whole.start(RunConfig(task="fracture", data_root="x", fold="all"), resume=False)
    assert rewrite(whole, state="running", heartbeat=1.0).state == "running"
    later(STALE_SECONDS + 1)
    assert summarise_run(whole.folder).state == "stalled"
    fold = RunFolder(whole.folder / "fold-0")
    fold.start(RunConfig(task="fracture", data_root="x", fold=0), resume=False)
    shown = summarise_run(whole.folder)
    assert shown.state == "running"
    assert shown.changed == fold.read_status().heartbeat
    later(STALE_SECONDS + 1)
    assert summarise_run(whole.folder).state == "stalled"


@pytest.mark.parametrize("jump", [-600.0, 0.0, 600.0])
def test_a_run_on_another_machine_from_before_the_lock_is_alive_while_it_moves(run, later, jump):
    """An older version noted a host, or none; whatever its clock says, only movement counts."""
    shutil.rmtree(run.lock.folder)
    boot = "another-boot/1"
    status = {"state": "running", "host": platform.node() + "-other", "pid": os.getpid()}
    for beat in range(4):
        later(STALE_SECONDS / 2)
        moving = rewrite(run, **status, process_started=boot, heartbeat=beat + jump)
        assert moving.state == "running"
    later(STALE_SECONDS + 1)
    shown = summarise_run(run.folder)
    assert (shown.state, shown.can_resume) == ("crashed", True)


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_an_ended_run_keeps_its_state_though_its_process_is_gone(run, state):
    assert rewrite(run, state=state, process_started=1.0).state == state


def test_a_run_written_before_hosts_were_noted_still_reads(run):
    status = asdict(run.read_status())
    del status["host"]
    run.status_file.write_text(json.dumps(status))
    assert summarise_run(run.folder).state == "preparing"


def test_a_torn_status_is_named_and_does_not_hide_the_other_runs(run):
    other = RunFolder(run.folder.parent / "two")
    other.start(RunConfig(task="vertebra", data_root="x"), resume=False)
    run.status_file.write_text('{"state": "run')
    shown = {item.run_id: item for item in list_runs(run.folder.parent)}
    assert shown["one"].state == "unreadable"
    assert "status.json" in shown["one"].problem
    assert shown["two"].problem == ""


def test_the_folds_of_a_run_are_listed_under_its_name(run):
    RunFolder(run.folder / "fold-0").start(RunConfig(task="fracture", data_root="x"), resume=False)
    (run.folder / "bundle").mkdir()
    assert {item.run_id for item in list_runs(run.folder.parent)} == {"one", "one/fold-0"}


def test_no_folder_means_no_runs(tmp_path):
    assert list_runs(tmp_path / "missing") == []


def test_a_metrics_line_cut_off_by_a_crash_is_left_out(run):
    run.append_metrics("step", step=1, loss=0.5)
    run.append_metrics("validation", step=1, auc=None)
    run.append_metrics("validation", step=2, auc=0.75)
    with run.metrics_file.open("a") as stream:
        stream.write('{"event": "step", "st')
    assert read_metrics(run.folder, "step")["loss"].tolist() == [0.5]
    assert summarise_run(run.folder).validation_auc == 0.75
    assert read_metrics(run.folder / "nowhere", "step").empty


def test_the_log_tail_is_the_end_of_the_log(run):
    run.log_file.write_text("\n".join(f"line {k}" for k in range(20_000)))
    assert read_log_tail(run.folder, 2) == "line 19998\nline 19999"
    assert read_log_tail(run.folder / "nowhere") == ""


def test_provenance_names_code_and_packages():
    import torch

    found = provenance("abc")
    assert found.packages["torch"] == torch.__version__.split("+")[0]
    assert found.data_fingerprint == "abc"
    assert len(found.git_commit) in (0, 40)


def test_the_order_of_studies_does_not_change_the_data_fingerprint():
    assert fingerprint_keys(["b", "a"]) == fingerprint_keys(["a", "b"]) != fingerprint_keys(["a"])


def test_a_process_is_known_by_pid_and_start(run):
    status = run.read_status()
    assert is_same_process(status.pid, status.process_started)


def test_the_last_auc_is_found_without_reading_the_lines_before_it(tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "one")
    run.start(RunConfig(task="fracture", data_root="/d", fold=0), resume=False)
    for epoch in range(1, 4):
        for step in range(100):
            run.append_metrics("step", step=100 * epoch + step, loss=0.5)
        auc = None if epoch == 3 else epoch / 10
        run.append_metrics("validation", step=100 * epoch + 99, auc=auc)
    with run.metrics_file.open("a") as stream:
        stream.write('{"event": "validation", "au')
    monkeypatch.setattr(run_list, "BLOCK_BYTES", 64)
    assert summarise_run(run.folder).validation_auc == 0.2
    steps = last_metrics(run.metrics_file, "step")
    assert [next(steps)["step"] for _ in range(3)] == [399, 398, 397]
    every = [row["step"] for row in last_metrics(run.metrics_file, "step")]
    assert every == read_metrics(run.folder, "step")["step"].tolist()[::-1]


def test_only_the_end_of_the_metrics_is_read(tmp_path, monkeypatch):
    file = tmp_path / "metrics.jsonl"
    line = '{"event": "step", "step": 1}\n'
    file.write_text(line * 20_000)
    read = []

    class Counted(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            read.append(size)
            return super().read(size)

    monkeypatch.setattr(Path, "open", lambda path, mode: Counted(path, mode))
    assert next(last_metrics(file, "step"))["step"] == 1
    assert read == [run_list.BLOCK_BYTES]
    assert not list(last_metrics(tmp_path / "none.jsonl", "step"))
