"""A segmentation run: its loss, its data, its bundle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from core.config import RunConfig
from core.errors import TrainingError
from core.models.bundles import read_bundle
from core.models.segmenter import load_segmenter
from core.prepared.grid_dataset import NO_LABEL, AugmentedGrids, GridDataset
from core.prepared.study_grids import StudyGrid
from core.training.grid_engine import BACKGROUND_WEIGHT, grid_loss
from core.training.trainer import train
from tests.core.training.made_data_root import write_data_root
from tests.stores import made_store

pytestmark = pytest.mark.training


def config(root, **changes):
    values = {
        "task": "segmentation", "data_root": root, "size": 32, "field_mm": 64, "epochs": 2,
        "batch_size": 2, "folds": 2, "device": "cpu", "augment": True, "checkpoint_every_s": 0,
    }  # fmt: skip
    return RunConfig(**(values | changes))


def test_the_loss_is_cross_entropy_plus_what_dice_lacks():
    labels = torch.tensor([0, 0, 1, NO_LABEL], dtype=torch.uint8).view(1, 1, 1, 4)
    logits = torch.full((1, 9, 1, 1, 4), -1e4)
    logits[0, :2] = 0.0  # Background and C1 equally probable everywhere.
    # By hand: each of three voxels has -ln(1/2); soft Dice of C1 is 2 * 0.5 / (1.5 + 1).
    entropy = math.log(2)
    assert float(grid_loss(logits, labels)) == pytest.approx(entropy + 1 - 1.0 / 2.5, abs=1e-5)
    right = torch.full((1, 9, 1, 1, 4), -50.0)
    right[0, 0, ..., :2], right[0, 1, ..., 2:] = 50.0, 50.0
    assert float(grid_loss(right, labels)) == pytest.approx(0.0, abs=1e-4)
    assert BACKGROUND_WEIGHT < 1


def test_a_batch_without_a_vertebra_has_a_finite_loss():
    labels = torch.zeros((1, 2, 4, 4), dtype=torch.uint8)
    assert math.isfinite(float(grid_loss(torch.randn(1, 9, 2, 4, 4), labels)))


def test_grids_of_a_batch_are_filled_to_the_longest():
    studies = [
        StudyGrid(str(n), np.full((n, 4, 4), n, np.uint8), np.full((n, 4, 4), 1, np.uint8))
        for n in (3, 5)
    ]
    batch = AugmentedGrids(GridDataset(studies)).batch(np.array([0, 1]))
    assert batch.images.shape == batch.labels.shape == (2, 5, 4, 4)
    assert (batch.labels[0, 3:] == NO_LABEL).all()
    assert (batch.labels[0, :3] == 1).all()
    assert not batch.images[0, 3:].any()
    assert (batch.images[1] == 5).all()


def test_a_run_trains_measures_and_writes_a_bundle(tmp_path):
    root = write_data_root(tmp_path / "root", studies=4)
    made = train(config(root), tmp_path / "run", store=made_store(tmp_path / "cache"))
    bundle = read_bundle(made)
    assert bundle.config.name == "segmentation_unet3d"
    assert bundle.config.gives_labels
    assert (bundle.config.preparation.size, bundle.config.preparation.field_mm) == (32, 64)
    validation = bundle.metrics["validation"]
    assert 0 <= validation["dice"] <= 1
    assert 0 <= validation["right_level"] <= 1
    assert validation["studies"] == 2
    load_segmenter(bundle)
    # Another run may start from it.
    more = config(root, init_from=made, epochs=1, fold=None)
    train(more, tmp_path / "more", store=made_store(tmp_path / "cache"))


def test_the_same_seed_gives_the_same_weights(tmp_path):
    root = write_data_root(tmp_path / "root", studies=4)
    digests = [
        read_bundle(
            train(config(root), tmp_path / name, store=made_store(tmp_path / "cache"))
        ).config.weights_sha256
        for name in ("one", "other")
    ]
    assert digests[0] == digests[1]


def test_studies_without_masks_are_named(tmp_path):
    root = write_data_root(tmp_path / "root", studies=4, with_masks=False)
    with pytest.raises(TrainingError, match="has no mask for training"):
        train(config(root), tmp_path / "run", store=made_store(tmp_path / "cache"))


def test_a_task_without_settings_has_voxels_of_two_millimetres(tmp_path):
    made = RunConfig(task="segmentation", data_root=tmp_path)
    assert made.backbone == "unet3d"
    assert made.preparation.field_mm / made.preparation.size == 2.0
    assert made.preparation.windows[0].lower == 50
    assert RunConfig(task="vertebra", data_root=tmp_path).preparation.size == 512


@pytest.mark.parametrize("values", [{"size": 512}, {"field_mm": 400.0}, {"field_mm": None}])
def test_voxels_too_fine_or_too_coarse_are_refused(tmp_path, values):
    with pytest.raises(ValidationError, match="set field_mm to 1 to 4"):
        RunConfig(task="segmentation", data_root=tmp_path, **values)
