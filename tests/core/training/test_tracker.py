"""What a tracker gets of a run, and that none of its failures reaches the run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from core.config import PROJECT_ROOT, RunConfig
from core.errors import ConfigError
from core.system.atomic_files import write_json, write_text
from core.training import tracker
from core.training.runs import RunFolder
from core.training.tracker import RECORD_FILE, TrackerSettings, tracked

COMMIT, FINGERPRINT = "c" * 40, "f" * 64


@pytest.fixture
def run(tmp_path):
    """A run whose data are ready."""
    config = RunConfig(task="vertebra", data_root=tmp_path / "cohort", epochs=2)
    folder = RunFolder(tmp_path / "run")
    folder.start(config, resume=False)
    origin = {"git_commit": COMMIT, "git_dirty": False, "data_fingerprint": FINGERPRINT}
    write_json(folder.folder / "provenance.json", origin)
    return folder


def train_a_bit(run: RunFolder, first: int = 1) -> None:
    for step in range(first, first + 3):
        run.append_metrics("step", step=step, epoch=1, loss=1 / step, learning_rate=1e-3)
    by_output = {"C1": 0.75, "C2": None}
    step = first + 2
    run.append_metrics("validation", step=step, epoch=1, auc=0.8, auc_by_output=by_output)


def finish(run: RunFolder) -> None:
    write_text(run.bundle / "config.json", "{}")
    run.write_status("finished")


def history(client, number: str, name: str) -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in client.get_metric_history(number, name))


def sent(run: RunFolder) -> str:
    """Time of the last line that the tracker has."""
    record = run.folder / RECORD_FILE
    return json.loads(record.read_text())["sent"] if record.is_file() else ""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check_reported(client, run: RunFolder) -> None:
    """The tracker has the whole run."""
    number = json.loads((run.folder / RECORD_FILE).read_text())["run_id"]
    found = client.get_run(number)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "run"
    config = yaml.safe_load(run.config_file.read_text())
    assert found.data.params == {key: str(value) for key, value in config.items()}
    assert found.data.tags["mlflow.source.git.commit"] == COMMIT
    assert found.data.tags["data_fingerprint"] == FINGERPRINT
    (given,) = found.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("cohort", FINGERPRINT[:36])
    steps = [(step, 1 / step) for step in range(1, 7)]
    assert history(client, number, "training/loss") == steps
    assert history(client, number, "validation/auc") == [(3, 0.8), (6, 0.8)]
    assert history(client, number, "validation/auc_by_output/C1") == [(3, 0.75), (6, 0.75)]
    names = {file.path for file in client.list_artifacts(number)}
    assert {"bundle", "run"} <= names
    assert [file.path for file in client.list_artifacts(number, "bundle")] == ["bundle/config.json"]


def test_without_a_tracker_nothing_is_imported_or_started(tmp_path):
    code = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from core.training.tracker import TrackerSettings, tracked\n"
        "with tracked(Path('x'), TrackerSettings().address(Path('var'))):\n"
        "    assert threading.active_count() == 1\n"
        "assert 'mlflow' not in sys.modules\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "TRACKER"}
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, env=environment, check=True)


def test_one_variable_names_the_tracker(tmp_path):
    def address(text):
        return TrackerSettings(tracker=text).address(tmp_path)

    assert address("") is None
    assert address("mlflow") == f"file://{tmp_path}/mlflow"
    assert address("http://127.0.0.1:5000") == "http://127.0.0.1:5000"
    with pytest.raises(ConfigError, match="TRACKER"):
        address("wandb")


@pytest.mark.slow
def test_a_run_is_in_the_folder_store_without_any_network(run, tmp_path, monkeypatch):
    address = TrackerSettings(tracker="mlflow").address(tmp_path / "var")
    client = tracker._client(address)
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, place: asked.append(place))
    monkeypatch.setattr(tracker, "EVERY_SECONDS", 0.01)
    with tracked(tmp_path, address):
        train_a_bit(run)
        last = json.loads(run.metrics_file.read_text().splitlines()[-1])["time"]
        until(lambda: sent(run) == last)
        train_a_bit(run, 4)
        finish(run)
    check_reported(client, run)
    # A resumed run goes on in the same place.
    run.write_status("running")
    with tracked(tmp_path, address):
        run.append_metrics("step", step=7, epoch=2, loss=0.1)
        run.write_status("stopped")
    number = json.loads((run.folder / RECORD_FILE).read_text())["run_id"]
    assert history(client, number, "training/loss")[-2:] == [(6, 1 / 6), (7, 0.1)]
    assert client.get_run(number).info.status == "KILLED"
    assert asked == []


def test_a_run_of_another_process_is_left_alone(run, tmp_path):
    status = json.loads(run.status_file.read_text())
    assert tracker._is_own(run.folder)
    write_json(run.status_file, status | {"pid": 1})
    assert not tracker._is_own(run.folder)


class _Refuses:
    """A client of a server that is not there."""

    def __getattr__(self, name):
        raise ConnectionError("patient text")


def test_a_tracker_that_fails_stops_nothing_and_is_named_once(run, tmp_path, monkeypatch, caplog):
    tried = threading.Event()

    def connect(address):
        tried.set()
        return _Refuses()

    monkeypatch.setattr(tracker, "_client", connect)
    monkeypatch.setattr(tracker, "EVERY_SECONDS", 0.01)
    with tracked(run.folder, "http://127.0.0.1:1"):
        train_a_bit(run)
        assert tried.wait(60)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["The tracker does not take the run (ConnectionError)."]


def test_a_tracker_that_hangs_holds_up_the_end_for_a_while_only(run, monkeypatch, caplog):
    let_go = threading.Event()
    monkeypatch.setattr(tracker, "_client", lambda _: let_go.wait(600))
    monkeypatch.setattr(tracker, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(tracker, "LAST_SECONDS", 0.05)
    with tracked(run.folder, "http://127.0.0.1:1"):
        train_a_bit(run)
    let_go.set()
    assert "does not answer" in caplog.text


@pytest.fixture
def mlflow_server(tmp_path, repo_root):
    """Starts and ends a real server on one port of this machine."""
    program = Path(os.environ.get("MLFLOW", repo_root / "var" / "mlflow-server" / "bin" / "mlflow"))
    if not program.is_file():
        pytest.skip(f"there is no MLflow server at {program}; `make mlflow-server` installs one")
    return _Server(program, tmp_path)


class _Server:
    def __init__(self, program: Path, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._program, self._folder = program, folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> str:
        store = f"sqlite:///{self._folder}/server.db"
        self._process = subprocess.Popen(
            [self._program, "server", "--backend-store-uri", store, "--artifacts-destination",
             str(self._folder / "artifacts"), "--host", "127.0.0.1", "--port", str(self.port),
             "--workers", "1"],
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/health").status_code == 200:
                    return self.url
            except httpx.TransportError:
                time.sleep(0.2)
        raise AssertionError("The MLflow server does not start.")

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, 9)
        self._process.wait()


@pytest.mark.slow
@pytest.mark.server
def test_a_real_server_that_dies_in_between_gets_the_whole_run(
    run, mlflow_server, monkeypatch, caplog
):
    monkeypatch.setattr(tracker, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(tracker, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(tracker, "LAST_SECONDS", 300.0)
    with mlflow_server as url:
        following = tracked(run.folder, url)
        following.__enter__()
        train_a_bit(run)
        until(lambda: sent(run))
        before = sent(run)
    train_a_bit(run, 4)
    until(lambda: "does not take the run" in caplog.text)
    assert sent(run) == before
    with mlflow_server:
        finish(run)
        following.__exit__(None, None, None)
        check_reported(tracker._client(url), run)
