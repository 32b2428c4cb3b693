"""Kernels give their resolution, and noise of the strength and texture of a CT."""

import numpy as np
import pytest

from core.phantom.kernels import (
    Kernel,
    blend_slices,
    blur,
    correlated_noise,
    sample_kernel,
    sharpen,
)

SMOOTH = Kernel("smooth", 0.62, 0.0, 20.0)
SHARP = Kernel("sharp", 0.30, 0.8, 35.0)


def edge():
    volume = np.zeros((1, 32, 64), dtype=np.float32)
    volume[:, :, 32:] = 1000
    return volume


def width_of_edge(profile):
    """Distance in pixels between a quarter and three quarters of the step."""
    position = np.arange(len(profile))
    return np.interp(750, profile, position) - np.interp(250, profile, position)


def test_a_smooth_kernel_blurs_as_a_gaussian_of_its_width_does():
    profile = sharpen(edge(), SMOOTH, 0.31)[0, 16]
    # The quartiles of a Gaussian lie 0.6745 standard deviations from its middle.
    assert width_of_edge(profile) == pytest.approx(2 * 0.6745 * 0.62 / 0.31, rel=0.05)


def test_an_edge_enhancing_kernel_is_sharper_and_overshoots():
    soft, hard = (sharpen(edge(), k, 0.5)[0, 16] for k in (SMOOTH, SHARP))
    assert np.diff(hard).max() > 1.5 * np.diff(soft).max()
    assert soft.max() <= 1000.01
    assert hard.max() > 1050
    assert hard.min() < -50


@pytest.mark.parametrize("kernel", [SMOOTH, SHARP])
def test_a_kernel_leaves_a_flat_field_and_its_input_alone(kernel):
    flat = np.full((2, 20, 20), 57.0, dtype=np.float32)
    assert sharpen(flat, kernel, 0.8) == pytest.approx(57.0, abs=0.01)
    assert (flat == 57).all()


def test_noise_has_unit_deviation_and_no_mean():
    noise = correlated_noise((4, 96, 96), SMOOTH, 0.8, np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, abs=1e-4)
    assert abs(noise.mean()) < 0.02


def power(kernel):
    noise = correlated_noise((8, 128, 128), kernel, 0.5, np.random.default_rng(1))
    spectrum = np.abs(np.fft.fft2(noise)) ** 2
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(128, 0.5), np.fft.fftfreq(128, 0.5)))
    bands = [(0.0, 0.05), (0.2, 0.5), (0.9, 1.0)]
    return [spectrum[:, (f > low) & (f < high)].mean() for low, high in bands]


def test_noise_power_is_low_at_both_ends_as_the_ramp_and_the_kernel_make_it():
    low, middle, high = power(SMOOTH)
    assert middle > 4 * low
    assert middle > 20 * high


def test_a_sharp_kernel_has_finer_noise():
    fine, coarse = power(SHARP), power(SMOOTH)
    assert fine[2] / fine[1] > 5 * coarse[2] / coarse[1]


def test_neighbouring_pixels_of_noise_are_correlated():
    noise = correlated_noise((4, 96, 96), SMOOTH, 0.8, np.random.default_rng(2))
    assert np.mean(noise[:, :, 1:] * noise[:, :, :-1]) > 0.2


def test_drawn_kernels_stay_within_15_to_40_hu_and_sharp_ones_are_noisier():
    drawn = [sample_kernel(np.random.default_rng(s)) for s in range(300)]
    noise = np.array([k.noise_hu for k in drawn])
    assert noise.min() >= 15
    assert noise.max() <= 40
    assert np.corrcoef(noise, [k.blur_mm for k in drawn])[0, 1] < -0.5
    assert any(k.boost == 0 for k in drawn)
    assert any(k.boost > 0.5 for k in drawn)


def test_thicker_slices_have_the_variance_of_their_box_profile():
    volume = np.zeros((21, 4, 4), dtype=np.float32)
    volume[10] = 1
    spread = blend_slices(volume, 0.5)[:, 0, 0]
    at = np.arange(21)
    # A box w wide has the variance w^2 / 12; one slice of it is in the painting already.
    assert np.sum(spread * (at - 10) ** 2) == pytest.approx((1.5**2 - 1) / 12, rel=1e-4)
    assert spread.sum() == pytest.approx(1)


def test_flat_volumes_and_single_slices_are_not_blended_away():
    flat = np.ones((5, 3, 3), dtype=np.float32)
    assert blend_slices(flat, 1.0) == pytest.approx(1)
    assert blend_slices(flat[:1], 1.0) == pytest.approx(1)
    assert blend_slices(flat, 0.0) is flat


def test_a_blur_of_no_width_copies():
    volume = np.eye(4, dtype=np.float32)[None]
    out = blur(volume, 0.0)
    assert out is not volume
    assert (out == volume).all()
