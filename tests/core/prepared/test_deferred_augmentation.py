"""A batch augmented on its device equals one augmented by the loader, up to rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.prepared.box_dataset import AugmentedBoxes, BoxDataset
from core.prepared.box_slices import BoxSlices
from core.prepared.deferred_augmentation import Changes
from core.prepared.slice_dataset import SliceDataset
from core.prepared.slices import StudySlices
from core.preprocessing.augmentation import Augmentation, apply_augmentations, draws_of_batch
from core.training.batches import Batches


def smooth(shape, seed=0):
    """Random slices as smooth as a CT is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[-2], 0 : shape[-1]] / shape[-1]
    phase = rng.uniform(0, 6, (*shape[:-2], 1, 1, 4))
    waves = np.sin(9 * x[..., None] + phase) * np.cos(7 * y[..., None] - phase)
    return np.rint(127.5 + 100 * waves.mean(axis=-1)).astype(np.uint8)


def on_device(images, draws):
    changes = Changes.of(draws, images.shape[-1], images.shape[-2])
    return changes.applied(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("shape", [(24, 64, 64), (12, 3, 64, 64), (6, 48, 80)])
def test_a_batch_equals_slices_augmented_one_by_one(shape):
    images, draws = smooth(shape), draws_of_batch((3,), 0, shape[0])
    apart = np.abs(
        on_device(images, draws).astype(int) - apply_augmentations(images, draws).astype(int)
    )
    assert apart.max() <= 2
    assert (apart > 1).mean() < 1e-3


def test_noise_moves_to_the_same_place_too():
    images = np.random.default_rng(0).integers(0, 256, (32, 64, 64), dtype=np.uint8)
    draws = draws_of_batch((3,), 0, 32)
    one, other = on_device(images, draws), apply_augmentations(images, draws)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(
    "draw",
    [
        Augmentation(), Augmentation(flip=True), Augmentation(rotation_deg=90.0),
        Augmentation(brightness=0.2, contrast=1.3), Augmentation(shift_xy=(0.25, -0.125)),
    ],
)  # fmt: skip
def test_movements_by_whole_pixels_are_exact(draw):
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    draws = [draw, draw]
    np.testing.assert_array_equal(on_device(images, draws), apply_augmentations(images, draws))


def test_batches_leave_the_augmentation_to_the_move():
    study = StudySlices(
        smooth((9, 32, 32)), np.eye(9, 7, dtype=bool), None, -np.arange(9.0), "a", 2.0
    )
    options = {"augment_seed": (1, 2), "shard": (1, 2)}
    dataset = SliceDataset([study], "vertebra")
    plain, moved = (
        list(Batches(dataset, np.arange(9), 4, augment_on_device=later, **options))
        for later in (False, True)
    )
    for one, later in zip(plain, moved, strict=True):
        assert len(one) == len(later)
        other = later.to("cpu", non_blocking=True)
        # The second process has no slice of the last batch.
        torch.testing.assert_close(one.images.int(), other.images.int(), atol=2, rtol=0)
        for name in ("metadata", "presence", "fractured", "index"):
            assert torch.equal(getattr(one, name), getattr(other, name))


def test_boxes_move_with_their_slices_wherever_those_are_augmented():
    images = smooth((6, 32, 32))
    boxes = {i: np.array([[4.0, 6, 20, 24]]) for i in range(6)}
    study = BoxSlices("a", images, np.zeros((6, 4)), boxes, None, True, np.arange(6.0))
    dataset, rows = BoxDataset([study], neighbours=True), np.array([4, 0, 2])
    one = AugmentedBoxes(dataset, (5,)).batch(rows)
    other = AugmentedBoxes(dataset, (5,), deferred=True).batch(rows).to("cpu")
    assert (one.images.int() - other.images.int()).abs().max() <= 2
    for a, b in zip(one.boxes, other.boxes, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(one.index, other.index)
