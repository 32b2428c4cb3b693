"""Scanner artefacts: beam hardening and photon starvation between the shoulders, metal, motion.

The first two are computed from line integrals through the whole body, the parts outside the
field of view included, on a coarse grid. A polychromatic beam hardens in bone after the scanner has
corrected for water, by about the product of both paths (Joseph & Spital 1978); the variance of a
projection grows with the exponential of its path (Barrett & Keat 2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from core.phantom.anatomy import Anatomy
from core.phantom.grid import Grid
from core.phantom.kernels import blur
from core.phantom.projection import projector
from core.phantom.sdf import Field

MU_WATER = 0.02
"""Attenuation of water per mm at 70 keV, to two digits."""

BODY_MM, BODY_PX, BODY_ANGLES = 460.0, 80, 36
METAL_HU, METAL_PX, METAL_ANGLES = 2500.0, 128, 120
MAX_METAL_MM = 10.0
"""Maximum path through metal that is counted."""

HARDENING = 0.025
"""Lost line integral per product of the paths through bone and through all tissue."""

LONG_PATH, LONG_PATH_GAIN = 4.5, 0.8
"""Line integral beyond which hardening grows faster, and by how much per unit."""

STARVATION = 0.7
"""Exponent of the noise's variance in the line integral; below 1 as tube current follows it."""

LINES_SHARE = 0.75
"""Share of the excess noise that forms streaks; the scanner's filter smooths the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class Beam:
    """HU errors and noise of the beam on the voxel grid.

    Attributes:
        shift_hu: HU to add, float32 (z, y, x).
        noise: Factor of the noise's standard deviation, 1 in the neck; float32 (z, y, x).
    """

    shift_hu: Field
    noise: Field


def beam_errors(hu: Field, grid: Grid, anatomy: Anatomy) -> Beam:
    """Compute hardening and noise from the paths through neck and shoulders.

    Args:
        hu: float32 HU (z, y, x) without noise.
        grid: Voxel grid.
        anatomy: The person, whose shoulders reach beyond the field of view.
    """
    step = max(round(4.0 / grid.slice_mm), 1)
    heights = grid.z()[::step]
    center = anatomy.poses["C7"].origin[:2] + np.array([0.0, 10.0])
    water, bone = _body(hu[::step], heights, grid, anatomy, center)
    rays = projector(BODY_PX, BODY_ANGLES)
    pixel = BODY_MM / BODY_PX
    p_bone = rays.project(bone, pixel) * np.float32(MU_WATER)
    p_all = rays.project(water, pixel) * np.float32(MU_WATER) + p_bone
    beyond = np.maximum(p_all - np.float32(LONG_PATH), 0)
    lost = np.float32(HARDENING) * p_bone * p_all * (1 + np.float32(LONG_PATH_GAIN) * beyond)
    shift = rays.reconstruct(-lost, pixel) * np.float32(1000 / MU_WATER)
    variance = rays.smear(np.exp(np.float32(STARVATION) * p_all))
    tissue = water > 0.8
    typical = [float(np.median(v[t])) for v, t in zip(variance, tissue, strict=True) if t.any()]
    noise = np.sqrt(variance / np.float32(np.percentile(typical, 25) if typical else 1.0))
    return Beam(
        _onto_grid(shift, heights, grid, center), np.clip(_onto_grid(noise, heights, grid, center),
                                                          0.5, 4.0),
    )  # fmt: skip


def add_earrings(hu: Field, grid: Grid) -> None:
    """Add a metal bead on either side of the head, in place."""
    level = len(hu) // 10
    body = hu[level] > -300
    columns = np.flatnonzero(body.any(axis=0))
    if not columns.size:
        return
    x, y, z = grid.x(), grid.y(), grid.z()
    for column in columns[[0, -1]]:
        row = int(np.median(np.flatnonzero(body[:, column])))
        away = (
            ((z - z[level]) ** 2)[:, None, None]
            + ((y - y[row]) ** 2)[None, :, None]
            + ((x - x[column]) ** 2)[None, None, :]
        )
        hu[away < max(1.5, grid.slice_mm / 2, grid.pixel_mm) ** 2] = 9000.0


def metal_streaks(hu: Field, grid: Grid, rng: np.random.Generator) -> dict[int, Field]:
    """Reconstruct the streaks of hardened and starved rays in slices with metal.

    Returns:
        float32 HU (y, x) to add, by slice index.
    """
    metal = hu > METAL_HU
    chosen = np.flatnonzero(metal.any(axis=(1, 2)))
    if not chosen.size:
        return {}
    size = (METAL_PX, METAL_PX)
    pixel = grid.pixel_mm * grid.matrix / METAL_PX
    share = np.stack(
        [cv2.resize(metal[i].astype(np.float32), size, interpolation=cv2.INTER_AREA)
         for i in chosen]
    )  # fmt: skip
    rays = projector(METAL_PX, METAL_ANGLES)
    path = np.minimum(rays.project(share, pixel), np.float32(MAX_METAL_MM))
    # Neighbouring views get nearly the same photons; otherwise the streaks form a regular star.
    starved = 1.6 * ndimage.gaussian_filter1d(rng.standard_normal(path.shape, np.float32), 1.0, 1)
    error = np.float32(0.025) * np.sqrt(path) * starved - np.float32(0.08) * path**1.5
    image = rays.reconstruct(error.astype(np.float32), pixel) * np.float32(1000 / MU_WATER)
    full = hu.shape[2], hu.shape[1]
    return {
        int(i): cv2.resize(plane, full, interpolation=cv2.INTER_CUBIC) * ~metal[i]
        for i, plane in zip(chosen, image, strict=True)
    }


def add_motion(
    hu: Field,
    grid: Grid,
    rng: np.random.Generator,
    reach_mm: tuple[float, int] | None = None,
) -> None:
    """Double the edges of neighbouring slices: motion blur, in place.

    Args:
        hu: float32 HU (z, y, x).
        grid: Voxel grid.
        rng: Random generator.
        reach_mm: (mm, number of slices); by default 0.8 to 2.2 mm in two to four.
    """
    length = reach_mm[1] if reach_mm else int(rng.integers(2, 5))
    first = int(rng.integers(0, max(len(hu) - length, 1)))
    angle = rng.uniform(0, 2 * np.pi)
    reach = (reach_mm[0] if reach_mm else rng.uniform(0.8, 2.2)) / grid.pixel_mm
    way = np.array([np.cos(angle), np.sin(angle)]) * reach
    turn = rng.uniform(-1.5, 1.5)
    middle = (hu.shape[2] / 2, hu.shape[1] / 2)
    for i in range(first, min(first + length, len(hu))):
        ghosts = []
        for sign in (-0.5, 0.5):
            move = cv2.getRotationMatrix2D(middle, sign * turn, 1.0)
            move[:, 2] += sign * way
            ghosts.append(
                cv2.warpAffine(hu[i], move, hu.shape[:0:-1], borderMode=cv2.BORDER_REPLICATE)
            )
        hu[i] = (ghosts[0] + ghosts[1]) / 2


def streaky(noise: Field, factor: Field, rng: np.random.Generator, pixel_mm: float) -> Field:
    """Scale noise by its local factor; the excess above 1.3 forms streaks between the shoulders.

    Args:
        noise: float32 (z, y, x) of unit standard deviation.
        factor: Local factor of the standard deviation.
        rng: Random generator of the streaks.
        pixel_mm: In-plane spacing.
    """
    grainy = np.minimum(factor, np.float32(1.3))
    noise *= grainy
    excess = np.float32(LINES_SHARE) * np.sqrt(np.maximum(factor**2 - grainy**2, 0))
    long_px = max(round(40.0 / pixel_mm), 3)
    for i in np.flatnonzero(excess.max(axis=(1, 2)) > 0.2):
        lines = rng.standard_normal(noise.shape[1:], dtype=np.float32)
        lines = cv2.GaussianBlur(cv2.blur(lines, (long_px, 1)), (0, 0), 0.7)
        lines /= np.float32(max(float(lines.std()), 1e-6))
        noise[i] += lines * excess[i]
    return noise


def _body(
    hu: Field, heights: Field, grid: Grid, anatomy: Anatomy, center: np.ndarray
) -> tuple[Field, Field]:
    """Density of water and excess bone, (n, BODY_PX, BODY_PX), beyond the field of view too."""
    pixel = BODY_MM / BODY_PX
    axis = (np.arange(BODY_PX, dtype=np.float32) - (BODY_PX - 1) / 2) * np.float32(pixel)
    water, bone = _shoulders(axis, heights, anatomy)
    side = max(round(grid.matrix * grid.pixel_mm / pixel), 8)
    small_mm = grid.matrix * grid.pixel_mm / side
    first = (grid.corner[0], grid.corner[1])
    edge = [f - grid.pixel_mm / 2 + small_mm / 2 for f in first]
    start = [center[k] + float(axis[0]) for k in (0, 1)]
    move = np.array([[pixel / small_mm, 0, (start[0] - edge[0]) / small_mm],
                     [0, pixel / small_mm, (start[1] - edge[1]) / small_mm]])  # fmt: skip
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (BODY_PX, BODY_PX)
    seen = cv2.warpAffine(np.ones((side, side), np.float32), move, size, flags=flags)
    for i, plane in enumerate(hu):
        parts = (np.clip(plane + 1000, 0, 1150) / 1000, np.clip(plane - 250, 0, 2200) / 1000)
        for part, out in zip(parts, (water, bone), strict=True):
            small = cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)
            out[i] += cv2.warpAffine(small, move, size, flags=flags) - seen * out[i]
    return water, bone


def _shoulders(axis: Field, heights: Field, anatomy: Anatomy) -> tuple[Field, Field]:
    """Trunk and upper arms as ellipses that widen downwards, with the heads of the humeri."""
    depth = np.float32(float(anatomy.poses["C7"].origin[2]) - anatomy.shoulder_mm) - heights
    rise = np.clip(depth / 45, 0, 1)
    width = ((62 + 150 * np.sqrt(rise)) * anatomy.girth)[:, None, None]
    u, a = axis[None, None, :], axis[None, :, None]
    plan = (u / width) ** 2 + (a / np.float32(80 * anatomy.girth)) ** 2
    water = np.clip((1.0 - plan) * 6 + 0.5, 0, 1).astype(np.float32)
    head = depth[:, None, None] - 32
    far = np.sqrt((np.abs(u) - 165 * np.float32(anatomy.scale)) ** 2 + a**2 + head**2)
    bone = np.clip((26 - far) / 6 + 0.5, 0, 1).astype(np.float32) * np.float32(0.8)
    return water, bone


def _onto_grid(coarse: Field, heights: Field, grid: Grid, center: np.ndarray) -> Field:
    """Interpolate fields (n, BODY_PX, BODY_PX) at `heights` to every voxel."""
    pixel = BODY_MM / BODY_PX
    scale = grid.pixel_mm / pixel
    start = [center[k] - pixel * (BODY_PX - 1) / 2 for k in (0, 1)]
    move = np.array([[scale, 0, (grid.corner[0] - start[0]) / pixel],
                     [0, scale, (grid.corner[1] - start[1]) / pixel]])  # fmt: skip
    size = (grid.matrix, grid.matrix)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    smooth = blur(coarse, 0.6)
    planes = [
        cv2.warpAffine(p, move, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) for p in smooth
    ]
    at = np.interp(-grid.z(), -heights, np.arange(len(heights)))
    low = np.minimum(at.astype(int), max(len(planes) - 2, 0))
    out = np.empty((grid.n_slices, grid.matrix, grid.matrix), dtype=np.float32)
    for i, k in enumerate(low):
        t = np.float32(at[i] - k)
        out[i] = planes[k] * (1 - t) + planes[min(k + 1, len(planes) - 1)] * t
    return out
