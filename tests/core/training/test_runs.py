import json
import logging
import os
import signal
import time

import psutil
import pytest
import yaml

from core.config import RunConfig
from core.errors import TrainingError
from core.system.process_identity import process_identity
from core.training.runs import HEARTBEAT_SECONDS, RunFolder


@pytest.fixture
def config(tmp_path):
    return RunConfig(task="vertebra", data_root=tmp_path)


@pytest.fixture
def run(tmp_path, config):
    folder = RunFolder(tmp_path / "run")
    folder.start(config, resume=False)
    return folder


def test_start_writes_a_config_that_reads_back(run, config):
    assert RunConfig(**yaml.safe_load(run.config_file.read_text())) == config


def test_status_tells_this_process_and_keeps_what_is_not_changed(run):
    run.write_status("running", step=5, total_steps=20)
    run.write_status("running", epoch=1)
    status = run.read_status()
    assert (status.state, status.step, status.total_steps, status.epoch) == ("running", 5, 20, 1)
    assert status.pid == os.getpid()
    assert status.process_started == process_identity(os.getpid())
    assert abs(status.began - time.time()) < 10
    assert abs(status.heartbeat - time.time()) < 10
    assert run.is_alive(status)


def test_a_reused_pid_is_not_taken_for_the_run(run):
    status = json.loads(run.status_file.read_text())
    run.status_file.write_text(json.dumps(status | {"process_started": 1.0}))
    assert not run.is_alive(run.read_status())


def test_heartbeat_is_not_written_at_every_step(run):
    run.write_status("running", step=1)
    run.beat(step=2, epoch=0)
    assert run.read_status().step == 1
    run._beaten -= HEARTBEAT_SECONDS
    run.beat(step=3, epoch=0)
    assert run.read_status().step == 3


def test_new_run_does_not_overwrite_an_old_one(run, config):
    with pytest.raises(TrainingError, match=r"already holds a run.*resume"):
        RunFolder(run.folder).start(config, resume=False)


def test_resuming_with_another_config_names_the_difference(run, config):
    changed = config.model_copy(update={"batch_size": 5})
    with pytest.raises(TrainingError, match="another batch_size"):
        RunFolder(run.folder).start(changed, resume=True)


def test_resuming_may_move_data_and_device(run, config, tmp_path):
    moved = config.model_copy(update={"data_root": tmp_path / "moved", "device": "cpu"})
    RunFolder(run.folder).start(moved, resume=True)


def test_a_run_another_process_trains_is_left_alone(run, config):
    parent = psutil.Process(os.getppid())
    status = json.loads(run.status_file.read_text())
    status |= {
        "state": "running",
        "pid": parent.pid,
        "process_started": process_identity(parent.pid),
    }
    run.status_file.write_text(json.dumps(status))
    with pytest.raises(TrainingError, match=f"trained by process {parent.pid}"):
        RunFolder(run.folder).start(config, resume=True)


def test_no_status_yet_is_none_and_a_broken_one_is_an_error(tmp_path):
    run = RunFolder(tmp_path)
    assert run.read_status() is None
    run.status_file.write_text("{")
    with pytest.raises(TrainingError, match=r"status\.json cannot be read"):
        run.read_status()


def test_metrics_are_one_json_object_a_line(run):
    run.append_metrics("step", step=10, loss=0.5)
    run.append_metrics("validation", step=10, auc=None)
    lines = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["step", "validation"]
    assert lines[0]["loss"] == 0.5
    assert lines[1]["auc"] is None


def test_metrics_beyond_the_checkpoint_and_torn_lines_are_dropped(run):
    for step in (10, 20, 30):
        run.append_metrics("step", step=step, epoch=1)
    with run.metrics_file.open("a") as stream:
        stream.write('{"event": "st')
    run.drop_metrics_after(20, 0)
    steps = [json.loads(line)["step"] for line in run.metrics_file.read_text().splitlines()]
    assert steps == [10, 20]


def test_dropping_metrics_of_a_run_without_any_is_nothing(run):
    run.drop_metrics_after(0, 0)
    assert not run.metrics_file.exists()


def test_a_finished_run_has_its_state_and_a_log(run):
    with run.recorded():
        logging.getLogger("core.training").info("one line")
    assert run.read_status().state == "finished"
    assert "one line" in run.log_file.read_text()


def test_failed_run_keeps_its_message(run):
    with pytest.raises(TrainingError), run.recorded():
        raise TrainingError("the loss is gone")
    assert run.read_status().state == "failed"
    assert run.read_status().message == "the loss is gone"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_the_run_in_good_order(run, name):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), run.recorded():
        signal.raise_signal(getattr(signal, name))
    assert run.read_status().state == "stopped"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_request_between_the_lock_and_the_work_is_not_lost(run):
    run.stops.ask()  # What the thread of the lock does with a request.
    with pytest.raises(KeyboardInterrupt), run.recorded():
        pytest.fail("The run began although it had been asked to stop.")
    assert run.read_status().state == "stopped"


def test_a_run_from_before_an_option_goes_on_without_it(tmp_path):
    config = RunConfig(task="vertebra", data_root=tmp_path)
    run = RunFolder(tmp_path / "run")
    run.start(config, resume=False)
    written = yaml.safe_load(run.config_file.read_text())
    run.config_file.write_text(
        yaml.safe_dump({k: v for k, v in written.items() if "noise" not in k})
    )
    changed = RunConfig(**(config.model_dump() | {"noise_reduction": "otsu"}))
    with pytest.raises(TrainingError, match="another noise_reduction"):
        RunFolder(run.folder).start(changed, resume=True)
    RunFolder(run.folder).start(config, resume=True)
