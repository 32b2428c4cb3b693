"""From a volume to labels, presence and middles; damaged bundles are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.errors import BundleError, PredictionsError
from core.inference.segmentation import Segmentation, SegmentationPredictor
from core.models.pairs import choose_segmenter
from core.preprocessing.spine_field import SpineField
from core.preprocessing.spine_grid import SpineGrid
from core.types import CTVolume


def volume(planes=20):
    hu = np.random.default_rng(0).normal(0, 50, (planes, 60, 64)).astype(np.int16)
    hu[:, 25:35, 27:37] = 800
    return CTVolume(
        hu, (2.0, 1.5, 1.5), np.eye(4), 100 - 2.0 * np.arange(planes), (), (), "1.2", "1.2.3",
    )  # fmt: skip


def made(labels, z_mm):
    probs = np.eye(9, dtype=np.float32)[labels].transpose(3, 0, 1, 2)
    field = SpineField(np.full((len(z_mm), 2), 30.0), (1.0, 1.0), 2.0 * labels.shape[1])
    return Segmentation(SpineGrid(field, np.asarray(z_mm), labels.shape[1], (60, 60)), probs)


def test_presence_and_middles_follow_the_labels():
    labels = np.zeros((10, 16, 16), np.uint8)
    labels[0:4, 4:9, 4:9], labels[5:9, 4:9, 4:9] = 2, 3
    found = made(labels, 50 - 1.0 * np.arange(19))
    presence = found.presence()
    assert presence.shape == (19, 7)
    assert presence.dtype == np.float32
    assert (presence[:7, 1] == 1).all()
    assert (presence[8:, 1] == 0).all()
    assert (presence[10:17, 2] == 1).all()
    assert not presence[:, [0, 3, 4, 5, 6]].any()
    assert found.middles_mm() == pytest.approx({2: 50 - 3.0, 3: 50 - 13.0})
    np.testing.assert_array_equal(found.grid_labels, labels)


def test_an_untrained_segmenter_labels_every_slice(untrained_segmenter):
    predictor = SegmentationPredictor(choose_segmenter(untrained_segmenter), device="cpu")
    found = predictor.segment(volume())
    assert found.probs.shape == (9, 13, 32, 32)  # Voxels of 3 mm.
    labels = found.volume_labels()
    assert labels.shape == (20, 60, 64)
    assert labels.max() <= 8
    np.testing.assert_array_equal(found.slice_labels(7), labels[7])


def test_a_mirrored_grid_gets_mirrored_labels(untrained_segmenter):
    predictor = SegmentationPredictor(choose_segmenter(untrained_segmenter), device="cpu")
    grid = np.random.default_rng(0).integers(0, 255, (12, 32, 32), dtype=np.uint8)
    found = predictor._probabilities(grid)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    mirrored = predictor._probabilities(np.ascontiguousarray(grid[..., ::-1]))
    np.testing.assert_allclose(mirrored[..., ::-1], found, atol=1e-6)
    with torch.inference_mode():
        alone = predictor._model(torch.from_numpy(grid)[None])[0].softmax(dim=0).numpy()
    assert not np.allclose(alone, found, atol=1e-3)


def test_a_volume_without_slices_is_named(untrained_segmenter):
    predictor = SegmentationPredictor(choose_segmenter(untrained_segmenter), device="cpu")
    with pytest.raises(PredictionsError, match="no slice"):
        predictor.segment(volume(0))


def test_a_bundle_for_another_task_is_named(untrained_bundles):
    with pytest.raises(BundleError, match="holds no segmentation bundle"):
        choose_segmenter(untrained_bundles)
    from core.models.bundles import read_bundle

    with pytest.raises(BundleError, match="is for vertebra, but a segmentation bundle"):
        SegmentationPredictor(read_bundle(untrained_bundles / "vertebra-untrained"), device="cpu")


def test_outputs_that_are_no_numbers_are_named(untrained_segmenter):
    predictor = SegmentationPredictor(choose_segmenter(untrained_segmenter), device="cpu")
    with torch.no_grad():
        predictor._model.head.bias.fill_(torch.nan)
    with pytest.raises(BundleError, match="NaN"):
        predictor.segment(volume())
