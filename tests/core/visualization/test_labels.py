from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dataset.masks import presence_from_mask
from core.phantom.study import make_study
from core.types import CTVolume
from core.visualization.bone import rest_surface
from core.visualization.labels import labels_from_presence, slab_levels
from tests.core.visualization.solids import volume_of


@pytest.fixture(scope="module")
def phantom():
    """A synthetic study's volume and mask."""
    study = make_study(5, 3, matrix=128)
    grid = study.grid
    volume = CTVolume(
        hu=study.hu,
        spacing_mm=(grid.slice_mm, grid.pixel_mm, grid.pixel_mm),
        affine=grid.affine(),
        z_mm=grid.affine()[2, 3] - np.arange(len(study.hu)) * grid.slice_mm,
        instance_numbers=tuple(range(len(study.hu))),
        source_files=(),
        study_uid="1",
        series_uid="2",
    )
    return volume, study.mask


@pytest.mark.slow
def test_bone_cut_by_presence_lies_where_the_vertebrae_are(phantom):
    volume, mask = phantom
    presence = presence_from_mask(mask).astype(np.float32)
    found = labels_from_presence(volume, presence)
    assert found.source == "presence"
    for j in range(1, 8):
        own, true = found.labels == j, mask == j
        assert 2 * (own & true).sum() / (own.sum() + true.sum()) > 0.5, j


@pytest.mark.slow
def test_bone_far_from_the_spine_has_no_label_even_where_a_vertebra_is_present(phantom):
    volume, mask = phantom
    hu = volume.hu.copy()
    hu[:, 8:16, 8:16] = 900
    presence = presence_from_mask(mask).astype(np.float32)
    found = labels_from_presence(replace(volume, hu=hu), presence)
    assert not found.labels[:, 8:16, 8:16].any()
    assert set(np.unique(found.labels)) == set(range(8))


def test_the_rest_holds_no_vertebra(phantom):
    volume, mask = phantom
    rest = rest_surface(volume, mask)
    index = (rest.points - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T
    index = np.clip(np.rint(index).astype(int), 0, np.array(mask.shape) - 1)
    assert (mask[tuple(index.T)] > 0).mean() < 0.03
    everything = np.ones(volume.hu.shape, np.uint8)
    assert rest_surface(volume, everything) is None


def test_levels_change_in_the_middle_where_two_are_seen_alike():
    presence = np.zeros((12, 7))
    presence[1:8, 2] = 1
    presence[4:11, 3] = 1
    assert slab_levels(presence).tolist() == [0, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 0]


def test_levels_without_any_presence_are_none_and_a_gap_stays_a_gap():
    assert not slab_levels(np.zeros((9, 7))).any()
    presence = np.zeros((9, 7))
    presence[1:3, 0], presence[6:8, 5] = 0.9, 0.9
    assert slab_levels(presence).tolist() == [0, 1, 1, 0, 0, 0, 6, 6, 0]
    assert slab_levels(np.zeros((0, 7))).shape == (0,)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_levels_run_downwards_and_no_other_order_scores_more(seed, n):
    presence = np.random.default_rng(seed).uniform(size=(n, 7))
    levels = slab_levels(presence)
    seen = levels[levels > 0]
    assert (np.diff(seen.astype(int)) >= 0).all()

    def score(chosen):
        return sum(presence[i, k - 1] if k else 0.5 for i, k in enumerate(chosen))

    rng = np.random.default_rng(seed + 1)
    for _ in range(20):
        other = np.sort(rng.integers(1, 8, n))
        other[rng.uniform(size=n) < 0.3] = 0
        assert score(levels) >= score(other) - 0.01 * n


def test_presence_of_another_length_is_refused_and_none_gives_none():
    volume = volume_of(np.full((4, 20, 20), 500))
    with pytest.raises(ValueError, match="4 slices"):
        labels_from_presence(volume, np.zeros((3, 7)))
    assert not labels_from_presence(volume, np.zeros((4, 7))).labels.any()
    air = volume_of(np.full((4, 20, 20), -1000))
    assert not labels_from_presence(air, np.ones((4, 7))).labels.any()
