"""Training speed of a network on this machine, measured on random slices in seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from core.config import RunConfig
from core.models.segmenter import N_CLASSES
from core.prepared.box_dataset import BoxDataset
from core.prepared.box_slices import BoxSlices
from core.prepared.grid_dataset import GridDataset
from core.prepared.slice_dataset import SliceDataset
from core.prepared.slices import StudySlices
from core.prepared.study_grids import StudyGrid
from core.preprocessing.network_input import N_CHANNELS
from core.training.cohort import TrainingCohort
from core.training.distributed import Processes, chosen_precision, start_fabric
from core.training.engine import StepReport
from core.training.job_setup import initial_state, shared_batches, train_batches
from core.training.schedule import Pace
from core.training.trainer import TRAINING_TASKS

STEPS: Final = 3
NOISE_PLANES: Final = 96
"""Planes of a segmenter's grid of random voxels: 192 mm at 2 mm."""
MAX_BATCH: Final = 16
"""On a processor a larger batch takes longer without a better measurement."""


def measure_pace(config: RunConfig, *, steps: int = STEPS) -> Pace:
    """Time training steps of a run on random slices, after one step to warm up.

    Everything of a step is included: collecting the slices from memory, their augmentation, the way
    to the device, and the step itself. Reading a study for the first time and validation are not.

    Args:
        config: Config of the run; its data and bundles are not read.
        steps: Batches timed, >= 1.

    Raises:
        ConfigError: There is no such model, or its backbone does not take this size.
        DeviceError: The device is not available.
    """
    config = _without_files(config)
    fabric = start_fabric(config, Processes())
    if fabric.device.type == "cpu":
        size = max(min(config.batch_size, MAX_BATCH), 2)
        parts = min(config.accumulate, size)
        config = config.model_copy(update={"batch_size": size, "accumulate": parts})
    count = config.batch_size * steps
    task = TRAINING_TASKS[config.task](config, _noise(config, count))
    state = initial_state(task, fabric, Processes(), steps + 1)
    reports: list[StepReport] = []
    for length in (config.batch_size, count):
        batches = task.training_batches(0)
        batches = replace(batches, order=np.resize(batches.order, length))
        train_batches(
            task,
            fabric,
            state,
            shared_batches(batches, config, fabric, Processes()),
            lambda report: bool(reports.append(report)),
        )
    last = reports[-1]
    return Pace(
        config.backbone,
        config.preparation.size,
        config.precision,
        last.images_per_second,
        last.loader_wait_share,
    )


def _without_files(config: RunConfig) -> RunConfig:
    """The config without bundles and folds, which do not change the speed."""
    return config.model_copy(
        update={
            "init_from": None,
            "vertebra_bundle": None,
            "pretrained": False,
            "balanced": False,
            "slices_per_study": 0,
            "fold": None,
            "early_stopping": False,
            "precision": chosen_precision(config),
        }
    )


def _noise(config: RunConfig, count: int) -> TrainingCohort[Any]:
    """A cohort of two studies of random slices, the first with boxes, the second intact."""
    rng = np.random.default_rng(0)
    size = config.preparation.size
    if config.facts.gives == "labels":
        return TrainingCohort(_grids(rng, count, size), None, synthetic=True, fingerprint="")
    channels = config.preparation.channels
    shape = (N_CHANNELS, size, size) if channels == "windows" else (size, size)
    images = rng.integers(0, 256, (max(count, 16), *shape), dtype=np.uint8)
    n = len(images)
    presence, z_mm = rng.random((n, 7)) < 0.5, -np.arange(n, dtype=np.float64)
    dataset: SliceDataset | BoxDataset
    if config.task == "localization":
        left_top = rng.uniform(0, size / 2, (n, 2))
        boxes = np.hstack([left_top, left_top + rng.uniform(size / 16, size / 4, (n, 2))])
        squares = np.tile([0.0, 0.0, size, size], (n, 1))
        by_slice = {i: boxes[i : i + 1] for i in range(n)}
        studies = [
            BoxSlices("boxed", images, squares, by_slice, presence, True, z_mm),
            BoxSlices("intact", images, squares, {}, presence, False, z_mm),
        ]
        dataset = BoxDataset(studies, neighbours=channels == "neighbours")
    else:
        fractured = np.arange(7) == 0
        boxed = np.arange(n) % 2 == 0
        study = StudySlices(
            images, presence, fractured, z_mm, "random", 1.0, channels=channels, boxed=boxed
        )
        task = "vertebra" if config.task == "vertebra" else "fracture"
        dataset = SliceDataset([study], task, target=config.fracture_target)
    return TrainingCohort(dataset, None, synthetic=True, fingerprint="")


def _grids(rng: np.random.Generator, count: int, size: int) -> GridDataset:
    """Grids of random voxels, as many as are timed."""
    images = rng.integers(0, 256, (count, NOISE_PLANES, size, size), dtype=np.uint8)
    labels = rng.integers(0, N_CLASSES, images.shape, dtype=np.uint8)
    return GridDataset([StudyGrid(str(k), image, labels[k]) for k, image in enumerate(images)])
