"""A data root and a pair of untrained bundles, for tests that join several parts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.models.bundles import BundleConfig
from core.models.checkpoint import save_bundle
from core.models.registry import build_model
from core.phantom.cohort import write_cohort
from tests.core.system.cluster import LoopbackCluster, loopback_cluster


@pytest.fixture(scope="session")
def phantom_root(tmp_path_factory) -> Path:
    """Three synthetic studies of 64² pixels, at least one fractured and one whole."""
    root = tmp_path_factory.mktemp("phantom")
    write_cohort(root, studies=3, seed=1, jobs=1, matrix=64)
    return root


@pytest.fixture(scope="session")
def untrained_bundles(tmp_path_factory) -> Path:
    """A checkpoints folder with a vertebra and a fracture bundle of random weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    for task in ("vertebra", "fracture"):
        config = BundleConfig(
            name=f"{task}-untrained", task=task, type=1, backbone="mobilenet_v3_large", size=32,
            crop=1.0, window_center=400, window_width=1800, weights_sha256="0" * 64, parameters=1,
            trained_on={}, created="2026-01-01T00:00:00+00:00",
        )  # fmt: skip
        save_bundle(folder / config.name, build_model(task, 1, config.backbone), config)
    return folder


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[LoopbackCluster]:
    """A dask scheduler and two worker processes on loopback, for tests that leave them alive."""
    with loopback_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started
