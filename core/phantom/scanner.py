"""From a painted body to a CT image: thickness, kernel, beam, metal, motion, noise, 12 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.phantom.anatomy import Anatomy
from core.phantom.artefacts import (
    add_earrings,
    add_motion,
    beam_errors,
    metal_streaks,
    streaky,
)
from core.phantom.grid import Grid
from core.phantom.kernels import (
    Kernel,
    blend_slices,
    correlated_noise,
    mixed_kernel,
    sample_kernel,
    sharpen,
)
from core.phantom.recipe import ScannerMix
from core.phantom.sdf import Field

EARRING_SHARE, MOTION_SHARE = 0.06, 0.08
"""Shares of studies with earrings and with motion."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """One examination.

    Attributes:
        kernel: Sharpness and noise.
        earrings: Whether the person wears earrings; fillings are part of the teeth.
        motion: Whether the person moved.
        motion_reach: (mm, number of slices) of the movement; None to draw a small one.
        gain: Factor on HU above air.
        offset_hu: HU added to everything.
    """

    kernel: Kernel
    earrings: bool = False
    motion: bool = False
    motion_reach: tuple[float, int] | None = None
    gain: float = 1.0
    offset_hu: float = 0.0


def sample_scanner(rng: np.random.Generator, mix: ScannerMix | None = None) -> Scanner:
    """Draw an examination; without a mix the classic one."""
    if mix is not None:
        return Scanner(
            kernel=mixed_kernel(rng, mix),
            earrings=bool(rng.uniform() < mix.earrings),
            motion=bool(rng.uniform() < mix.motion),
            motion_reach=(mix.motion_mm.draw(rng), round(mix.motion_slices.draw(rng))),
            gain=mix.gain.draw(rng),
            offset_hu=mix.offset_hu.draw(rng),
        )
    return Scanner(
        kernel=sample_kernel(rng),
        earrings=bool(rng.uniform() < EARRING_SHARE),
        motion=bool(rng.uniform() < MOTION_SHARE),
    )


def acquire(
    hu: Field, grid: Grid, anatomy: Anatomy, scanner: Scanner, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Scan a painted body.

    Args:
        hu: float32 HU (z, y, x) without noise; slices as thick as their distance. It is modified.
        grid: Voxel grid.
        anatomy: The person.
        scanner: The examination.
        rng: Random generator of the noise.

    Returns:
        int16 HU (z, y, x) within -1024..3071.
    """
    if scanner.earrings:
        add_earrings(hu, grid)
    if scanner.motion:
        add_motion(hu, grid, rng, scanner.motion_reach)
    streaks = metal_streaks(hu, grid, rng)
    beam = beam_errors(hu, grid, anatomy)
    extra = grid.thickness_mm / grid.slice_mm - 1
    image = sharpen(blend_slices(hu, extra), scanner.kernel, grid.pixel_mm)
    image += beam.shift_hu
    for i, streak in streaks.items():
        image[i] += streak
    noise = correlated_noise(image.shape, scanner.kernel, grid.pixel_mm, rng)
    noise = blend_slices(noise, extra)
    image += np.float32(scanner.kernel.noise_hu) * streaky(noise, beam.noise, rng, grid.pixel_mm)
    if scanner.gain != 1 or scanner.offset_hu:
        image = (image + 1000) * np.float32(scanner.gain) + np.float32(scanner.offset_hu - 1000)
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16)
