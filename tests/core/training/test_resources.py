"""What a run uses of its machine is in its metrics, and nothing of a GPU where there is none."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from core.config import RunConfig
from core.training import resources
from core.training.resources import EVENT, sampled, take_sample
from core.training.run_list import read_metrics
from core.training.runs import FollowerRun, RunFolder


@pytest.fixture
def gpu(monkeypatch):
    """Two GPUs, of which the second is in use."""

    def of(values):
        return lambda handle, *_: values[handle]

    for name, value in (
        ("nvmlInit", lambda: None),
        ("nvmlDeviceGetHandleByIndex", lambda index: index),
        ("nvmlDeviceGetMemoryInfo", of([None, SimpleNamespace(used=3, total=4)])),
        ("nvmlDeviceGetUtilizationRates", of([None, SimpleNamespace(gpu=42)])),
        ("nvmlDeviceGetTemperature", of([None, 61])),
    ):  # fmt: skip
        monkeypatch.setattr(resources.pynvml, name, value)


def test_a_machine_without_a_gpu_reports_none(tmp_path):
    sample = take_sample(str(tmp_path), None)
    assert 0 <= sample.cpu_share <= 1
    assert 0 < sample.memory_share <= 1
    assert sample.disk_free_gib > 0
    assert (sample.gpu_share, sample.gpu_memory_share, sample.gpu_celsius) == (None, None, None)


@pytest.mark.usefixtures("gpu")
def test_the_gpu_of_the_run_is_sampled(tmp_path):
    sample = take_sample(str(tmp_path), 1)
    assert (sample.gpu_share, sample.gpu_memory_share, sample.gpu_celsius) == (0.42, 0.75, 61)


def test_a_driver_that_fails_leaves_the_gpu_out(tmp_path, monkeypatch):
    def fail():
        raise resources.pynvml.NVMLError(1)

    monkeypatch.setattr(resources.pynvml, "nvmlInit", fail)
    assert take_sample(str(tmp_path), 0).gpu_share is None


def test_samples_are_lines_of_the_metrics_at_the_runs_step(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "EVERY_SECONDS", 0.01)
    run = RunFolder(tmp_path / "run")
    run.start(RunConfig(task="vertebra", data_root=tmp_path), resume=False)
    run.write_status("running", step=7, epoch=2)
    with sampled(run, None):
        found = read_metrics(run.folder, EVENT)
        while len(found) < 2:
            threading.Event().wait(0.01)
            found = read_metrics(run.folder, EVENT)
    assert found["step"].tolist()[:2] == [7, 7]
    assert found["epoch"].tolist()[:2] == [2, 2]
    assert all(0 < share <= 1 for share in found["memory_share"])
    assert found["gpu_share"].dropna().empty


def test_a_process_that_does_not_write_the_run_samples_nothing(tmp_path):
    before = threading.active_count()
    with sampled(FollowerRun(tmp_path), None):
        assert threading.active_count() == before
