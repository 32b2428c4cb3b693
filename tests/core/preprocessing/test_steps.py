"""What is previewed is what the store keeps and a training batch holds, byte for byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import RunConfig, SlicePreparation
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.prepared.slice_dataset import SliceDataset
from core.prepared.slices import load_study_slices
from core.preprocessing.augmentation import (
    Augmentation,
    AugmentationRanges,
    apply_augmentation,
    augmentation_seed,
    draws_of_batch,
)
from core.preprocessing.geometry import center_crop, resize_slices
from core.preprocessing.network_input import batch_for_network
from core.preprocessing.spine_field import spine_field_of
from core.preprocessing.steps import (
    changes_nothing,
    place_box_xyxy,
    place_mask,
    preparation_steps,
)
from core.training.batches import Batches
from tests.core.training.made_data_root import write_data_root
from tests.stores import made_store

WAYS = [
    {},
    {"crop": 0.6, "window_center": 40.0, "window_width": 400.0},
    {"channels": "windows", "noise_reduction": "otsu"},
    {"channels": "neighbours", "noise_reduction": "kmeans", "noise_clusters": 3},
    {"field_mm": 20.0, "noise_reduction": "threshold", "noise_threshold": 77},
    {"field_mm": 25.0, "channels": "neighbours"},
]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return read_studies(write_data_root(tmp_path_factory.mktemp("d"), studies=2, slices=7))[1]


@pytest.fixture(scope="module")
def volume(record):
    return read_series(record.folder, jobs=1)


@pytest.mark.parametrize("way", WAYS)
def test_a_previewed_slice_is_what_a_training_batch_holds(record, volume, tmp_path, way):
    config = RunConfig(task="vertebra", data_root=tmp_path, size=32, augment=True, seed=9,
                       augment_hue_deg=90, augment_rotation_deg=30, **way)  # fmt: skip
    how = config.preparation
    study = load_study_slices(record, how, store=made_store(tmp_path))
    dataset, field = SliceDataset([study], "vertebra"), spine_field_of(volume, how.field_mm)
    for index in (0, 3, 6):
        previewed = preparation_steps(volume, index, how, field).network
        trained = dataset.batch(np.array([index])).images[0].numpy()
        np.testing.assert_array_equal(previewed, trained)
        # The same slice eight times: each is changed by a draw of its own, as in the first batch.
        ranges = AugmentationRanges.of(config)
        batches = Batches(dataset, np.full(8, index), 8, augment_seed=(9, 0, 1),
                          augment_ranges=ranges)  # fmt: skip
        (batch,) = batches
        draws = draws_of_batch(augmentation_seed(config.seed, 0), 0, 8, ranges)
        grid = np.stack([apply_augmentation(previewed, draw) for draw in draws])
        np.testing.assert_array_equal(grid, batch.images.numpy())


@pytest.mark.parametrize("way", WAYS)
def test_the_steps_lead_to_the_networks_input(volume, way):
    how = SlicePreparation(size=32, **way)
    field = spine_field_of(volume, how.field_mm)
    steps = preparation_steps(volume, 2, how, field)
    made = batch_for_network(volume.hu, slice(2, 3), how, field)[0]
    np.testing.assert_array_equal(steps.network, made)
    np.testing.assert_array_equal(steps.hu, volume.hu[2])
    own = 1 if how.channels == "neighbours" else 0
    np.testing.assert_array_equal(steps.channels[own], steps.cleaned)
    assert steps.channels.shape == (3, 32, 32)
    assert steps.resized.shape == steps.cleaned.shape == (32, 32)
    assert steps.windowed.shape == steps.cut.shape
    if how.noise.method == "none":
        np.testing.assert_array_equal(steps.cleaned, steps.resized)


def test_hue_and_saturation_change_nothing_but_where_channels_differ(volume):
    grey, *differing = (
        preparation_steps(volume, 3, SlicePreparation(size=32, channels=channels)).network
        for channels in ("grey", "windows", "neighbours")
    )
    for change in (Augmentation(hue_deg=120), Augmentation(saturation=1.6)):
        assert changes_nothing(grey, change)
        assert not any(changes_nothing(network, change) for network in differing)
    assert not changes_nothing(grey, Augmentation(flip=True))


@given(
    st.sampled_from([SlicePreparation(size=48), SlicePreparation(size=40, crop=0.8),
                     SlicePreparation(size=64, field_mm=25.0)]),
    st.integers(6, 12), st.integers(6, 12),
)  # fmt: skip
@settings(max_examples=15, deadline=None)
def test_boxes_and_masks_land_together(volume, how, left, top):
    field = spine_field_of(volume, how.field_mm)
    labels = np.zeros(volume.hu.shape[1:], np.uint8)
    labels[top : top + 5, left : left + 6] = 4
    placed = place_mask(labels, 3, how, field)
    box = place_box_xyxy((left, top, left + 6, top + 5), labels.shape, 3, how, field)
    rows, columns = np.flatnonzero(placed.any(axis=1)), np.flatnonzero(placed.any(axis=0))
    inside = np.clip(box, 0, how.size)
    if len(rows):
        found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert np.abs(inside - found).max() <= 1.0
        assert set(np.unique(placed)) <= {0, 4}


@pytest.mark.parametrize(("crop", "size"), [(1.0, 64), (0.5, 40), (0.7, 33)])
def test_a_box_lands_where_its_pixels_land(crop, size):
    slices = np.zeros((1, 40, 46), np.uint8)
    slices[0, 15:22, 17:29] = 255
    prepared = resize_slices(center_crop(slices, crop), size)[0] > 127
    how = SlicePreparation(crop=crop, size=size)
    xyxy = place_box_xyxy((17, 15, 29, 22), (40, 46), 0, how)
    rows, columns = np.flatnonzero(prepared.any(axis=1)), np.flatnonzero(prepared.any(axis=0))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.abs(np.array(xyxy) - found).max() <= 1.0
