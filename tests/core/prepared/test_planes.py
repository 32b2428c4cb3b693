from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.prepared import planes
from core.prepared.planes import load_planes, planes_grid, reduce_labels, reduce_volume
from core.types import CTVolume
from tests.stores import made_store


def volume_of(hu, z_mm=None, spacing=(2.0, 0.5, 0.4)):
    n = len(hu)
    z_mm = np.arange(n)[::-1] * spacing[0] if z_mm is None else np.asarray(z_mm, float)
    return CTVolume(
        hu=hu, spacing_mm=spacing, affine=np.eye(4), z_mm=z_mm, instance_numbers=(0,) * n,
        source_files=(), study_uid="1", series_uid="2",
    )  # fmt: skip


@pytest.fixture
def small_side(monkeypatch):
    monkeypatch.setattr(planes, "PLANES_SIDE", 8)


def test_a_small_study_is_sent_as_it_is():
    hu = np.random.default_rng(0).integers(-1000, 2000, (5, 6, 7)).astype(np.int16)
    np.testing.assert_array_equal(reduce_volume(volume_of(hu)), hu)


def test_whole_cells_are_plain_means(small_side):
    hu = np.random.default_rng(0).integers(-1000, 2000, (16, 24, 16)).astype(np.int16)
    expected = hu.reshape(8, 2, 8, 3, 8, 2).mean(axis=(1, 3, 5))
    # Each of the two passes rounds once.
    assert np.abs(reduce_volume(volume_of(hu)) - expected).max() <= 1
    grid = planes_grid(volume_of(hu))
    assert grid.shape == (8, 8, 8)
    assert grid.spacing_mm == pytest.approx((4.0, 1.5, 0.8))
    assert grid.top_mm == pytest.approx(31.0)


def test_unevenly_spaced_slices_land_at_their_height(small_side):
    heights = np.array([100.0, 99, 98, 97, 96, 95, 94, 93, 92, 60, 58, 56])
    hu = np.broadcast_to(heights[:, None, None], (12, 4, 4)).astype(np.int16)
    volume = volume_of(np.ascontiguousarray(hu), heights)
    reduced = reduce_volume(volume)[:, 0, 0]
    grid = planes_grid(volume)
    for row, value in enumerate(reduced):
        top = grid.top_mm - row * grid.spacing_mm[0]
        nearby = [h for h in heights if abs(h - (top - grid.spacing_mm[0] / 2)) < 22]
        assert min(nearby) - 1 <= value <= max(nearby) + 1


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 40), seed=st.integers(0, 99))
def test_means_stay_between_the_extremes_and_labels_are_never_mixed(n, seed):
    rng = np.random.default_rng(seed)
    hu = rng.integers(-1000, 2000, (n, 5, 9)).astype(np.int16)
    z_mm = np.cumsum(rng.uniform(0.3, 4, n))[::-1]
    volume = volume_of(hu, z_mm)
    labels = (hu > 0).astype(np.uint8) * 5
    reduced = reduce_volume(volume)
    assert reduced.dtype == np.int16
    assert hu.min() <= reduced.min() <= reduced.max() <= hu.max()
    assert set(np.unique(reduce_labels(labels, volume))) <= {0, 5}


def test_labels_follow_the_voxels(small_side):
    labels = np.zeros((16, 16, 16), np.uint8)
    labels[4:8, 8:, :8] = 3
    reduced = reduce_labels(labels, volume_of(labels.astype(np.int16)))
    expected = np.zeros((8, 8, 8), np.uint8)
    expected[2:4, 4:, :4] = 3
    np.testing.assert_array_equal(reduced, expected)


def test_the_store_gives_back_what_was_reduced(tmp_path, monkeypatch):
    hu = np.random.default_rng(1).integers(-1000, 2000, (4, 5, 6)).astype(np.int16)
    volume = volume_of(hu)
    first = load_planes(volume, "a" * 64, made_store(tmp_path))
    monkeypatch.setattr(planes, "reduce_volume", lambda _: pytest.fail("reduced again"))
    np.testing.assert_array_equal(load_planes(volume, "a" * 64, made_store(tmp_path)), first)
    monkeypatch.undo()
    other = replace(volume, hu=hu[::-1].copy())
    assert not np.array_equal(load_planes(other, "b" * 64, made_store(tmp_path)), first)
    np.testing.assert_array_equal(load_planes(other, "c" * 64, None), other.hu)
