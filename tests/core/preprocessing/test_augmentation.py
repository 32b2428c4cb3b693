import numpy as np
import pytest

from core.preprocessing.augmentation import (
    Augmentation,
    AugmentationRanges,
    apply_augmentation,
    augment_slices,
    draw_augmentation,
)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (24, 24), dtype=np.uint8)


def test_the_default_change_changes_nothing(image):
    np.testing.assert_array_equal(apply_augmentation(image, Augmentation()), image)


def test_a_recorded_change_replays_identically(image):
    drawn = draw_augmentation(np.random.default_rng(3))
    np.testing.assert_array_equal(
        apply_augmentation(image, drawn), apply_augmentation(image.copy(), drawn)
    )


def test_same_seed_draws_the_same_batch_and_another_seed_does_not(image):
    batch = np.stack([image] * 4)
    first = augment_slices(batch, np.random.default_rng(7))
    np.testing.assert_array_equal(first, augment_slices(batch, np.random.default_rng(7)))
    assert (first != augment_slices(batch, np.random.default_rng(8))).any()


def test_slices_of_a_batch_are_changed_each_in_its_own_way(image):
    changed = augment_slices(np.stack([image, image]), np.random.default_rng(0))
    assert (changed[0] != changed[1]).any()


def test_input_is_not_written_to(image):
    before = image.copy()
    augment_slices(image[None], np.random.default_rng(0))
    np.testing.assert_array_equal(image, before)


def test_flip_exchanges_left_and_right(image):
    flipped = apply_augmentation(image, Augmentation(flip=True))
    np.testing.assert_array_equal(flipped, image[:, ::-1])


def test_quarter_turn_is_counter_clockwise_about_the_center(image):
    turned = apply_augmentation(image, Augmentation(rotation_deg=90.0))
    np.testing.assert_array_equal(turned, np.rot90(image))


def test_shift_moves_right_and_down_and_brings_black_in(image):
    moved = apply_augmentation(image, Augmentation(shift_xy=(1 / 4, 1 / 8)))
    np.testing.assert_array_equal(moved[3:, 6:], image[:-3, :-6])
    assert not moved[:3].any()
    assert not moved[:, :6].any()


def test_zoom_enlarges_about_the_center():
    image = np.zeros((25, 25), np.uint8)
    image[10:15, 10:15] = 255
    zoomed = apply_augmentation(image, Augmentation(scale=2.0))
    assert (zoomed > 127).sum() == pytest.approx(100, abs=21)


def test_brightness_and_contrast_follow_the_formula_and_are_clipped():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    changed = apply_augmentation(levels, Augmentation(brightness=0.1, contrast=1.5))
    expected = np.clip((levels - 127.5) * 1.5 + 127.5 + 25.5, 0, 255)
    assert np.abs(changed - expected).max() <= 0.5


def test_draws_stay_within_their_ranges():
    ranges = AugmentationRanges()
    rng = np.random.default_rng(0)
    drawn = [draw_augmentation(rng, ranges) for _ in range(500)]
    assert max(abs(a.rotation_deg) for a in drawn) <= ranges.rotation_deg
    assert max(abs(s) for a in drawn for s in a.shift_xy) <= ranges.shift
    assert max(abs(np.log(a.scale)) for a in drawn) <= ranges.log_scale + 1e-12
    assert max(abs(np.log(a.contrast)) for a in drawn) <= ranges.log_contrast + 1e-12
    assert max(abs(a.brightness) for a in drawn) <= ranges.brightness
    assert 200 < sum(a.flip for a in drawn) < 300


def test_ranges_of_zero_change_nothing(image):
    still = AugmentationRanges(0, 0, 0, 0, 0, 0)
    changed = augment_slices(image[None], np.random.default_rng(0), still)
    np.testing.assert_array_equal(changed[0], image)
