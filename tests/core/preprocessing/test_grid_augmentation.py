"""Labels follow their image; up and down are never exchanged."""

from __future__ import annotations

import numpy as np

from core.preprocessing.grid_augmentation import MAX_PLANES, SHORTEST, augment_grid


def study(planes=60):
    """Two cubes, C2 above C6, as bright as their label."""
    labels = np.zeros((planes, 48, 48), np.uint8)
    labels[12:20, 16:32, 14:30] = 2
    labels[30:38, 18:34, 16:32] = 6
    return (labels * 30).astype(np.uint8), labels


def test_bright_voxels_keep_their_labels():
    image, labels = study()
    for seed in range(12):
        changed, moved = augment_grid(image, labels, np.random.default_rng(seed))
        assert changed.shape == moved.shape
        assert changed.dtype == moved.dtype == np.uint8
        if (moved == 6).sum() < 300:
            continue
        inside, outside = changed[moved == 6].mean(), changed[moved == 0].mean()
        assert inside > outside + 60


def test_order_from_above_is_never_turned():
    image, labels = study()
    seen = 0
    for seed in range(40):
        _, moved = augment_grid(image, labels, np.random.default_rng(seed))
        if (moved == 2).any() and (moved == 6).any():
            seen += 1
            upper, lower = (np.argwhere(moved == label)[:, 0].mean() for label in (2, 6))
            assert upper < lower
    assert seen > 10


def test_left_and_right_are_exchanged_half_of_the_time():
    image, labels = study()
    labels[:, :, 24:] = 0
    sides = []
    for seed in range(60):
        _, moved = augment_grid(image, labels, np.random.default_rng(seed))
        if (moved > 0).any():
            sides.append(np.argwhere(moved > 0)[:, 2].mean() > 23.5)
    assert 0.25 < np.mean(sides) < 0.75


def test_long_and_short_studies_are_cut_to_what_a_scan_may_cover():
    for planes in (5, 40, 300):
        image, labels = study(max(planes, 40))
        lengths = [
            len(augment_grid(image[:planes], labels[:planes], np.random.default_rng(s))[0])
            for s in range(30)
        ]
        assert max(lengths) <= min(planes, MAX_PLANES)
        assert min(lengths) >= min(planes, SHORTEST)


def test_the_same_draw_gives_the_same_voxels_and_leaves_the_study_alone():
    image, labels = study()
    before = image.copy(), labels.copy()
    one, other = (augment_grid(image, labels, np.random.default_rng(5)) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_no_grid_is_without_noise():
    """The norm of a grid of one grey level has no variance, and its gradient explodes."""
    grey = np.full((30, 48, 48), 120, np.uint8)
    for seed in range(20):
        changed, _ = augment_grid(grey, np.zeros_like(grey), np.random.default_rng(seed))
        assert changed[8:22, 14:34, 14:34].std() > 0.5
