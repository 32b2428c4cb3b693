import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import RunConfig
from core.preprocessing.augmentation import (
    Augmentation,
    AugmentationRanges,
    apply_augmentation,
    apply_augmentations,
    draw_augmentation,
    move_mask,
)
from core.preprocessing.box_geometry import move_boxes


def augment_slices(images, rng, ranges=None):
    """Each slice by its own draw, as a data set does."""
    return apply_augmentations(images, [draw_augmentation(rng, ranges) for _ in images])


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
    assert max(abs(a.hue_deg) for a in drawn) <= ranges.hue_deg
    assert max(abs(np.log(a.saturation)) for a in drawn) <= ranges.log_saturation + 1e-12
    assert 200 < sum(a.flip for a in drawn) < 300


def test_ranges_of_zero_change_nothing(image):
    still = AugmentationRanges(0, 0, 0, 0, 0, 0, 0, 0)
    changed = augment_slices(image[None], np.random.default_rng(0), still)
    np.testing.assert_array_equal(changed[0], image)


@pytest.fixture
def colored():
    return np.random.default_rng(1).integers(40, 216, (3, 24, 24), dtype=np.uint8)


def test_channels_move_and_change_their_grey_together(colored):
    drawn = Augmentation(
        rotation_deg=8, shift_xy=(0.1, 0), scale=1.1, flip=True, brightness=0.05, contrast=1.2
    )
    together = apply_augmentation(colored, drawn)
    separately = np.stack([apply_augmentation(channel, drawn) for channel in colored])
    np.testing.assert_array_equal(together, separately)


def test_hue_and_saturation_leave_equal_channels_alone(image):
    grey = np.stack([image] * 3)
    changed = apply_augmentation(grey, Augmentation(hue_deg=120, saturation=2.5))
    np.testing.assert_array_equal(changed, grey)
    same = Augmentation(hue_deg=120, saturation=2.5)
    np.testing.assert_array_equal(apply_augmentation(image, same), image)


def test_hue_and_saturation_keep_the_mean_of_the_channels(colored):
    changed = apply_augmentation(colored, Augmentation(hue_deg=25, saturation=0.8))
    assert np.abs(changed.mean(axis=0) - colored.mean(axis=0)).max() <= 0.5
    assert (changed != colored).any()


def test_saturation_stretches_the_distance_from_the_mean(colored):
    changed = apply_augmentation(colored, Augmentation(saturation=0.5))
    mean = colored.mean(axis=0)
    assert np.abs(changed - (mean + 0.5 * (colored - mean))).max() <= 0.75


def test_no_saturation_is_grey(colored):
    changed = apply_augmentation(colored, Augmentation(saturation=0.0))
    assert (changed == changed[0]).all()


def test_a_third_of_a_turn_of_the_hue_passes_the_channels_on(colored):
    changed = apply_augmentation(colored, Augmentation(hue_deg=120))
    np.testing.assert_array_equal(changed, colored[[2, 0, 1]])


def test_whole_turn_of_the_hue_changes_nothing(colored):
    np.testing.assert_array_equal(apply_augmentation(colored, Augmentation(hue_deg=360)), colored)


def test_batch_of_three_channels_is_changed_slice_by_slice(colored):
    batch = np.stack([colored, colored])
    rng = np.random.default_rng(0)
    draws = [draw_augmentation(rng), draw_augmentation(rng)]
    changed = apply_augmentations(batch, draws)
    assert changed.shape == batch.shape
    for one, drawn in zip(changed, draws, strict=True):
        np.testing.assert_array_equal(one, apply_augmentation(colored, drawn))
    with pytest.raises(ValueError, match="shorter"):
        apply_augmentations(batch, draws[:1])


def test_the_limits_of_a_run_are_the_defaults_unless_set():
    usual = RunConfig(task="fracture", data_root=".")
    assert AugmentationRanges.of(usual) == AugmentationRanges()
    changed = RunConfig(task="fracture", data_root=".", augment_hue_deg=40, augment_flip=0)
    assert AugmentationRanges.of(changed) == AugmentationRanges(hue_deg=40, flip_probability=0)


moves = st.builds(
    Augmentation,
    rotation_deg=st.floats(-40, 40),
    shift_xy=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    scale=st.floats(0.8, 1.25),
    flip=st.booleans(),
)


@given(moves)
@settings(max_examples=40, deadline=None)
def test_a_box_moves_with_what_lies_in_it(drawn):
    image = np.zeros((96, 128), np.uint8)
    image[40:56, 50:70] = 255
    moved = apply_augmentation(image, drawn) > 127
    ((left, top, right, bottom),) = move_boxes(np.array([[50.0, 40, 70, 56]]), drawn, image.shape)
    rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    # A turned corner covers less than half of its last pixels.
    assert abs(left - columns[0]) <= 1.6
    assert abs(right - columns[-1] - 1) <= 1.6
    assert abs(top - rows[0]) <= 1.6
    assert abs(bottom - rows[-1] - 1) <= 1.6


@given(moves)
@settings(max_examples=20, deadline=None)
def test_a_mask_moves_with_its_pixels_and_keeps_its_labels(drawn):
    mask = np.zeros((64, 64), np.uint8)
    mask[20:34, 25:44] = 5
    moved = move_mask(mask, drawn)
    assert set(np.unique(moved)) <= {0, 5}
    pixels = apply_augmentation(mask * 51, drawn) > 127
    assert ((moved == 5) != pixels).sum() <= 0.12 * (mask > 0).sum()


def test_a_flipped_box_is_the_mirrored_one():
    moved = move_boxes(np.array([[2.0, 3, 6, 9]]), Augmentation(flip=True), (20, 30))
    np.testing.assert_allclose(moved, [[24, 3, 28, 9]])
