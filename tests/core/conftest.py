"""A data root and a pair of untrained bundles, for tests that join several parts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from core.models.bundles import BundleConfig
from core.models.checkpoint import save_bundle
from core.models.registry import build_model
from core.phantom.cohort import write_cohort
from tests.core.models.made_segmenter import write_untrained_segmenter
from tests.core.system.cluster import LoopbackCluster, loopback_cluster


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a folder that the test processes share: the first that asks fills it.

    Tests only read it.
    """
    base = tmp_path_factory.getbasetemp()
    place = base if worker_id == "master" else base.parent

    def made(name: str, fill: Callable[[Path], object]) -> Path:
        folder, unfinished = place / name, place / f"{name}.unfinished"
        with FileLock(place / f"{name}.lock"):
            if not folder.exists():
                fill(unfinished)
                unfinished.rename(folder)
        return folder

    return made


@pytest.fixture(scope="session")
def phantom_root(made_once) -> Path:
    """Three synthetic studies of 64² pixels, at least one fractured and one whole."""
    return made_once(
        "phantom", lambda root: write_cohort(root, studies=3, seed=1, jobs=1, matrix=64)
    )


@pytest.fixture(scope="session")
def untrained_bundles(made_once) -> Path:
    """A checkpoints folder with a vertebra and a fracture bundle of random weights."""
    return made_once("checkpoints", _write_untrained_bundles)


def _write_untrained_bundles(folder: Path) -> None:
    torch.manual_seed(0)
    for task in ("vertebra", "fracture"):
        config = BundleConfig(
            name=f"{task}-untrained", task=task, type=1, backbone="mobilenet_v3_large", size=32,
            crop=1.0, window_center=400, window_width=1800, weights_sha256="0" * 64, parameters=1,
            trained_on={}, created="2026-01-01T00:00:00+00:00",
        )  # fmt: skip
        save_bundle(folder / config.name, build_model(task, 1, config.backbone), config)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[LoopbackCluster]:
    """A dask scheduler and two worker processes on loopback, for tests that leave them alive."""
    with loopback_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="session")
def untrained_segmenter(made_once) -> Path:
    """A checkpoints folder with a segmenter of random weights."""
    return made_once("segmenter", write_untrained_segmenter)
