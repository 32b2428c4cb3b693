"""Reconstruction kernels: how sharp an image is and what its noise looks like.

A smooth kernel blurs in plane; an edge-enhancing one blurs less and overshoots at edges. The noise
of filtered back projection is correlated: its power rises with frequency from near zero, as the
ramp filter makes it, and falls again where the kernel cuts off (Riederer, Pelc & Chesler 1978).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from core.phantom.recipe import ScannerMix
from core.phantom.sdf import Field


@dataclass(frozen=True, slots=True)
class Kernel:
    """A reconstruction kernel.

    Attributes:
        name: Value of ConvolutionKernel.
        blur_mm: Standard deviation of the in-plane blur.
        boost: Edge enhancement; 0 for none, 1 doubles what the wider blur removes.
        noise_hu: Standard deviation of the noise in soft tissue of the neck.
    """

    name: str
    blur_mm: float
    boost: float
    noise_hu: float


BOOST_MM = 1.2
"""Standard deviation of the wider blur that edge enhancement subtracts."""


def sample_kernel(rng: np.random.Generator) -> Kernel:
    """Draw a kernel between smooth and bone; sharper ones are noisier, 16 to 38 HU."""
    sharpness = float(rng.uniform(0, 1))
    return Kernel(
        name=f"SYNTHETIC{round(10 + 60 * sharpness)}",
        blur_mm=0.62 - 0.32 * sharpness,
        boost=max(0.0, 1.5 * (sharpness - 0.45)),
        noise_hu=float(rng.uniform(16, 26)) + 12 * sharpness,
    )


def mixed_kernel(rng: np.random.Generator, mix: ScannerMix) -> Kernel:
    """Draw a kernel from smoother to sharper than usual, with noise of its own."""
    blur_mm = mix.blur_mm.draw(rng)
    sharpness = (mix.blur_mm.high - blur_mm) / (mix.blur_mm.high - mix.blur_mm.low)
    return Kernel(
        name=f"SYNTHETIC{round(5 + 80 * sharpness)}",
        blur_mm=blur_mm,
        boost=mix.boost.draw(rng) * max(0.0, sharpness - 0.3),
        noise_hu=mix.noise_hu.draw(rng),
    )


def sharpen(volume: Field, kernel: Kernel, pixel_mm: float) -> Field:
    """Reconstruct float32 HU (z, y, x) with the kernel's in-plane resolution.

    Returns:
        A new float32 array of the same shape.
    """
    image = blur(volume, kernel.blur_mm / pixel_mm)
    if kernel.boost:
        wide = blur(image, BOOST_MM / pixel_mm)
        image += np.float32(kernel.boost) * (image - wide)
    return image


def correlated_noise(
    shape: tuple[int, int, int], kernel: Kernel, pixel_mm: float, rng: np.random.Generator
) -> Field:
    """Zero-mean noise float32 (z, y, x) of standard deviation 1 with the kernel's texture."""
    fine_px = max(0.9 * kernel.blur_mm / pixel_mm, 0.45)
    white = rng.standard_normal(shape, dtype=np.float32)
    noise = blur(white, fine_px)
    noise -= np.float32(0.9) * blur(white, 2.2 * fine_px)
    noise /= noise.std(dtype=np.float64)
    return noise


def blur(volume: Field, sigma_px: float) -> Field:
    """Blur each slice by a Gaussian; edges are mirrored. Returns a new float32 array."""
    if sigma_px < 0.2:
        return volume.astype(np.float32)
    out = np.empty(volume.shape, dtype=np.float32)
    for source, target in zip(volume, out, strict=True):
        cv2.GaussianBlur(source, (0, 0), sigma_px, dst=target)
    return out


def blend_slices(volume: Field, extra: float) -> Field:
    """Widen the slice profile by averaging neighbours.

    Args:
        volume: float32 (z, y, x), each slice already as thick as the slice distance.
        extra: Thickness of a slice over the slice distance, minus 1; 0 changes nothing.
    """
    if extra <= 0 or len(volume) < 2:
        return volume
    # A box one slice wide convolved with this has the variance of one that is 1 + extra wide.
    side = np.float32(min(((1 + extra) ** 2 - 1) / 24, 0.33))
    out = volume * (1 - 2 * side)
    out[1:] += side * volume[:-1]
    out[:-1] += side * volume[1:]
    out[0] += side * volume[0]
    out[-1] += side * volume[-1]
    return out
