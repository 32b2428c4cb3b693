"""Kill a process in the middle of its writes, again and again, and look at what it left.

Run as a program: `python -m tests.faults.kill_writes --kills 200`. It loads the libraries once and
forks a writer for each kill, which writes version after version until SIGKILL ends it; the kill
falls at a random moment, so in proportion to the time that each part of a write takes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.cache.entries import fetch_entry
from core.config import RunConfig, Settings
from core.dataset.index import build_index, load_index
from core.inference.outputs import find_slices, read_slices, write_predictions
from core.models.bundles import BundleConfig, list_bundles
from core.models.checkpoint import load_model, save_bundle
from core.models.registry import build_model
from core.models.saved_points import SavedPoint, point_history, save_operating_point
from core.phantom.cohort import cohort_uids
from core.phantom.on_demand import CohortSeed, materialise_study
from core.system import atomic_files
from core.system.parallel import Workers
from core.training.device_queue import _draw_ticket
from core.training.run_list import read_metrics, summarise_run
from core.training.runs import RunFolder
from core.types import SlicePredictions
from dashboard.studies.uploads import unpack_upload
from tests.core.dicom.dicom_factory import made_hu, write_ct_series
from tests.stores import made_store

LONGEST_S = 0.25
"""Of a writer's life after its first whole version."""


@dataclass(frozen=True)
class Kind:
    """One kind of write.

    Attributes:
        write: Writes version k, 1, 2, …, into a folder that may hold the one before.
        check: Asserts that what lies there is complete; version 1 was written before the kill.
    """

    write: Callable[[Path, int], None]
    check: Callable[[Path], None]


def _json_write(folder: Path, k: int) -> None:
    atomic_files.write_json(folder / "a.json", {"k": k, "filler": [k] * 20_000})


def _json_check(folder: Path) -> None:
    found = json.loads((folder / "a.json").read_text())
    assert found["filler"] == [found["k"]] * 20_000


def _predictions_write(folder: Path, k: int) -> None:
    probs = np.full((300, 7), (k % 97) / 97, np.float32)
    z_mm = np.arange(300, 0, -1.0)
    study = SlicePredictions("1.2", z_mm, probs, probs, 2, tuple(range(300)), ("m",))
    write_predictions(folder, [study], seconds=[float(k)], single=True)


def _predictions_check(folder: Path) -> None:
    table = find_slices(folder)
    if table is None:
        return
    (study,) = read_slices(table)
    assert study.vertebra_probs.shape == (300, 7)
    version = round(json.loads((folder / "predictions.json").read_text())["seconds"])
    assert (study.vertebra_probs == np.float32((version % 97) / 97)).all(), "mixed"


def _bundle_config(k: int) -> BundleConfig:
    return BundleConfig(
        name="made", task="vertebra", type=1, backbone="mobilenet_v3_large", size=32, crop=1.0,
        window_center=400, window_width=1800, weights_sha256="0" * 64, parameters=1,
        trained_on={"k": k}, created="2026-01-01T00:00:00Z",
    )  # fmt: skip


_MODEL = build_model("vertebra", 1, "mobilenet_v3_large")


def _bundle_write(folder: Path, k: int) -> None:
    with torch.no_grad():
        next(_MODEL.parameters()).fill_(k % 100)
    save_bundle(folder / "made", _MODEL, _bundle_config(k))


def _bundle_check(folder: Path) -> None:
    # Weights and config are two files: between them the bundle is refused, never loaded wrongly.
    for bundle in list_bundles(folder):
        with contextlib.suppress(Exception):
            model = load_model(bundle)
            first = next(model.parameters())
            assert torch.unique(first).numel() == 1
            assert first.flatten()[0].item() == bundle.config.trained_on["k"] % 100, "mixed"


def _points_write(folder: Path, k: int) -> None:
    save_operating_point(
        folder / "made.json", "patient", SavedPoint(k % 100 / 100, "set by hand", "x")
    )


def _points_check(folder: Path) -> None:
    content = json.loads((folder / "made.json").read_text())
    assert 0 <= content["patient"]["threshold"] < 1
    point_history(folder / "made.json", "patient")


def _store_write(folder: Path, k: int) -> None:
    fetch_entry(made_store(folder), "volumes", f"{k % 3:064x}", lambda: _entry(k % 3))
    if k > 3:
        shutil.rmtree(folder / "volumes" / "00" / f"{k % 3:064x}", ignore_errors=True)
        fetch_entry(made_store(folder), "volumes", f"{k % 3:064x}", lambda: _entry(k % 3))


def _entry(k: int) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    return {"hu": np.full((40, 64, 64), k, np.int16)}, {"k": k}


def _store_check(folder: Path) -> None:
    for k in range(3):
        entry = fetch_entry(made_store(folder), "volumes", f"{k:064x}", lambda k=k: _entry(k))
        assert entry.values["k"] == k
        assert (entry.arrays["hu"] == k).all()


def _run_write(folder: Path, k: int) -> None:
    run = RunFolder(folder)
    if k == 1:
        run.start(RunConfig(task="vertebra", data_root=folder), resume=False)
    run.write_status("running", step=k)
    run.append_metrics("step", step=k, epoch=0, loss=1.0 / k)


def _run_check(folder: Path) -> None:
    summary = summarise_run(folder)
    assert summary.config is not None
    assert summary.status is not None
    steps = read_metrics(folder, "step")["step"].tolist()
    assert steps == list(range(1, len(steps) + 1))
    # A resumed run goes on behind the last whole line.
    run = RunFolder(folder)
    run.drop_metrics_after(len(steps), 0)
    run.append_metrics("step", step=len(steps) + 1, epoch=0, loss=0.5)
    assert len(read_metrics(folder, "step")) == len(steps) + 1


def _state_write(folder: Path, k: int) -> None:
    with atomic_files.atomic_path(folder / "last.ckpt") as temporary:
        torch.save({"k": k, "model": torch.full((300_000,), float(k))}, temporary)


def _state_check(folder: Path) -> None:
    from core.training.state import _read_tensors

    found = _read_tensors(folder / "last.ckpt")
    assert (found["model"] == found["k"]).all()


def _upload_write(folder: Path, k: int) -> None:
    archive = folder / "in.zip"
    if k == 1:
        with zipfile.ZipFile(archive, "w") as packed:
            for path in write_ct_series(folder / "in", made_hu()):
                packed.write(path, path.name)
    shutil.rmtree(folder / "var", ignore_errors=True) if k % 2 else None
    with archive.open("rb") as stream:
        unpack_upload(stream, session="one", settings=Settings(cspine_var=folder / "var"))


def _upload_check(folder: Path) -> None:
    with (folder / "in.zip").open("rb") as stream:
        where = unpack_upload(stream, session="one", settings=Settings(cspine_var=folder / "var"))
    assert len(list(where.glob("*.dcm"))) == len(list((folder / "in").rglob("*.dcm")))
    kept = [entry for entry in (folder / "var" / "uploads" / "one").iterdir()]
    assert len(kept) == 1, kept


def _phantom_write(folder: Path, k: int) -> None:
    shutil.rmtree(folder / "train_images", ignore_errors=True)
    materialise_study(_UID, [_SEED], folder)


def _phantom_check(folder: Path) -> None:
    where = folder / "train_images" / _UID
    count = len(list(where.glob("*.dcm"))) if where.is_dir() else 0
    again = materialise_study(_UID, [_SEED], folder)
    assert count in (0, len(list(again.glob("*.dcm"))))


_SEED = CohortSeed(seed=3, studies=1, matrix=64)
_UID = cohort_uids(studies=1, seed=3, matrix=64)[0]


def _index_write(folder: Path, k: int) -> None:
    if k == 1:
        from tests.dashboard.workplace import write_cohort

        write_cohort(folder / "set")
    shutil.rmtree(folder / "cache" / "shards", ignore_errors=True)
    build_index(folder / "set", folder / "cache", workers=Workers(jobs=1))


def _index_check(folder: Path) -> None:
    found = load_index(folder / "set", folder / "cache")
    if found is not None:
        assert len(found.slices) == 24
        assert len(found.studies) == 2
    assert len(build_index(folder / "set", folder / "cache", workers=Workers(jobs=1)).slices) == 24


def _queue_write(folder: Path, k: int) -> None:
    _draw_ticket(folder)


def _queue_check(folder: Path) -> None:
    numbers = [int(path.name.split("-")[0]) for path in folder.glob("[0-9]*-*.json")]
    assert int(_draw_ticket(folder).name.split("-")[0]) == max(numbers) + 1


KINDS = {
    "queue": Kind(_queue_write, _queue_check),
    "json": Kind(_json_write, _json_check),
    "predictions": Kind(_predictions_write, _predictions_check),
    "bundle": Kind(_bundle_write, _bundle_check),
    "operating point": Kind(_points_write, _points_check),
    "slice store": Kind(_store_write, _store_check),
    "run": Kind(_run_write, _run_check),
    "training state": Kind(_state_write, _state_check),
    "upload": Kind(_upload_write, _upload_check),
    "synthetic study": Kind(_phantom_write, _phantom_check),
    "index": Kind(_index_write, _index_check),
}


def kill_once(kind: Kind, folder: Path, delay: float) -> int:
    """Write until killed; returns how many versions were finished."""
    results, result_pipe = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            k = 1
            while True:
                kind.write(folder, k)
                os.write(result_pipe, b".")
                k += 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(result_pipe)
    assert os.read(results, 1) == b".", "the first version failed"
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer ended by itself"
    finished = 1
    while chunk := os.read(results, 4096):
        finished += len(chunk)
    os.close(results)
    return finished


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill; print one line a kind and return 1 where anything was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    draw = random.Random(chosen.seed)
    names, broken = list(KINDS), 0
    counts = {name: [0, 0, 0] for name in names}
    for number in range(chosen.kills):
        name = names[number % len(names)]
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "w"
            folder.mkdir()
            finished = kill_once(KINDS[name], folder, draw.uniform(0, LONGEST_S))
            counts[name][0] += 1
            counts[name][1] += finished
            try:
                KINDS[name].check(folder)
            except Exception as error:  # anything at all counts as broken
                counts[name][2] += 1
                broken += 1
                print(f"BROKEN {name}: {type(error).__name__}: {error}", flush=True)
    for name, (kills, finished, bad) in counts.items():
        print(f"{name:16} {kills:4} kills  {finished:6} versions finished  {bad} broken")
    print(f"{chosen.kills} kills, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
