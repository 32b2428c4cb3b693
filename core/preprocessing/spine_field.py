"""A square field that follows the spine from slice to slice, located by bone alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from core.constants import HU_AIR
from core.types import CTVolume, FloatArray

FIELD_VERSION: Final = 1
"""Part of every store key: increase it when the same series gets another field."""
GRID_MM: Final = 3.0
"""Pixel of the coarse map on which the spine is located."""
BONE_HU: Final = (150.0, 750.0)
"""HU of no bone and of pure bone; a linear share in between."""
BLUR_MM: Final = (8.0, 12.0)
"""Standard deviation of the bone map's blur along z and in plane: a vertebra becomes one peak."""
MIDLINE_MM: Final = 60.0
"""Standard deviation of the spine's distance from the middle of the image, left to right."""
SLOPE: Final = 1.2
"""Steepest course of the spine: mm in the slice for each mm along z."""
BEND_COST: Final = 0.05
"""Cost in log density per squared coarse pixel that the course moves between slices."""
MAX_REACH: Final = 8
"""Maximum move of the course between two slices in coarse pixels. It limits the search when one
wrong position in a header makes a slice distance very large."""
SMOOTH_MM: Final = 6.0
BEHIND_MM: Final = 14.0
"""Distance of a vertebra's middle behind its densest part: arch and spinous process are thin."""


@dataclass(frozen=True, slots=True, eq=False)
class SpineField:
    """Position of the square of `side_mm` in each slice of a series.

    Attributes:
        centers_px: float64 (n, 2), (y, x) of the square's middle in pixels of the slice.
        pixel_mm: (y, x) size of a pixel in mm.
        side_mm: Side of the square in mm.
    """

    centers_px: FloatArray
    pixel_mm: tuple[float, float]
    side_mm: float

    def __getitem__(self, slices: slice) -> SpineField:
        """Return the field of some slices of the series."""
        return SpineField(self.centers_px[slices], self.pixel_mm, self.side_mm)

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.centers_px)

    def box_xyxy(self, index: int) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the square in whole pixels; it may reach past the image."""
        height, width = (max(1, round(self.side_mm / step)) for step in self.pixel_mm)
        y, x = self.centers_px[index]
        left, top = round(x - (width - 1) / 2), round(y - (height - 1) / 2)
        return left, top, left + width, top + height

    def cut(self, slice_hu: NDArray[np.int16], index: int) -> NDArray[np.int16]:
        """Cut the square from one slice, int16 HU (height, width); air outside the image."""
        left, top, right, bottom = self.box_xyxy(index)
        inside = slice_hu[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        if inside.shape == (bottom - top, right - left):
            return inside
        square = np.full((bottom - top, right - left), HU_AIR, np.int16)
        y, x = max(-top, 0), max(-left, 0)
        square[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        return square


def spine_field_of(volume: CTVolume, side_mm: float | None) -> SpineField | None:
    """Find the field of a CT volume; None if `side_mm` is None."""
    if side_mm is None:
        return None
    return find_spine_field(volume.hu, volume.spacing_mm, side_mm)


def find_spine_field(
    hu: NDArray[np.int16], spacing_mm: tuple[float, float, float], side_mm: float
) -> SpineField:
    """Find the course of the spine and centre the field on it.

    Bone is averaged on a coarse grid and blurred until a vertebra with its arch is one peak. The
    course through the slices with the greatest sum of log density, less a cost for bending, is
    found by dynamic programming (Viterbi 1967): a jaw or a clavicle that is denser in some slices
    does not attract it, as the way there and back costs more. No network is involved, so that
    training and inference use the same field with every bundle.

    Args:
        hu: int16 HU, (z, y, x); slice 0 the most cranial.
        spacing_mm: (z, y, x).
        side_mm: Side of the field in mm.

    Raises:
        ValueError: `hu` is not (z, y, x) with at least one slice, or a length is not above 0.
    """
    if hu.ndim != 3 or 0 in hu.shape:
        raise ValueError(f"A field needs slices (z, y, x), but the shape is {hu.shape}.")
    if not side_mm > 0 or not all(step > 0 for step in spacing_mm):
        raise ValueError(f"A field of {side_mm} mm at spacing {spacing_mm} has no size.")
    step_z, step_y, step_x = spacing_mm
    density = _bone_density(hu, spacing_mm)
    reach = max(1, round(min(step_z * SLOPE / GRID_MM, MAX_REACH)))
    course = gaussian_filter1d(
        _best_course(density, reach), max(1.0, SMOOTH_MM / step_z), axis=0, mode="nearest"
    )
    rows, columns = density.shape[1:]
    centers = np.empty((len(hu), 2))
    centers[:, 0] = (course[:, 0] + 0.5) * hu.shape[1] / rows - 0.5 + BEHIND_MM / step_y
    centers[:, 1] = (course[:, 1] + 0.5) * hu.shape[2] / columns - 0.5
    return SpineField(centers, (step_y, step_x), float(side_mm))


def _bone_density(
    hu: NDArray[np.int16], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Log share of bone around each coarse pixel, lower away from the midline."""
    step_z, step_y, step_x = spacing_mm
    rows = max(8, round(hu.shape[1] * step_y / GRID_MM))
    columns = max(8, round(hu.shape[2] * step_x / GRID_MM))
    coarse = np.empty((len(hu), rows, columns), np.float32)
    low, high = BONE_HU
    for index, one in enumerate(hu):
        bone = (np.clip(one, low, high).astype(np.float32) - low) / (high - low)
        coarse[index] = cv2.resize(bone, (columns, rows), interpolation=cv2.INTER_AREA)
    along, across = BLUR_MM
    width = (min(along / step_z, len(hu) / 4), across / GRID_MM, across / GRID_MM)
    blurred = gaussian_filter(coarse, width, mode="constant")
    blurred /= max(float(blurred.max()), 1e-6)
    beside_mm = (np.arange(columns) - (columns - 1) / 2) * GRID_MM
    return np.log(blurred + 1e-3) - np.float32(0.5) * np.square(
        beside_mm / MIDLINE_MM, dtype=np.float32
    )


def _best_course(density: NDArray[np.float32], reach: int) -> FloatArray:
    """Row and column in each slice of the course with the greatest sum, float64 (n, 2)."""
    rows, columns = density.shape[1:]
    steps = [
        (a, b)
        for a in range(-reach, reach + 1)
        for b in range(-reach, reach + 1)
        if abs(a) < rows and abs(b) < columns
    ]
    best = density[0].copy()
    choices: list[NDArray[np.int16]] = []
    for layer in density[1:]:
        best, choice = _best_moves(best, steps)
        best += layer
        choices.append(choice)
    place = np.unravel_index(int(best.argmax()), best.shape)
    course = [(int(place[0]), int(place[1]))]
    for choice in reversed(choices):
        row, column = course[-1]
        a, b = steps[int(choice[row, column])]
        course.append((row + a, column + b))
    return np.array(course[::-1], np.float64)


def _best_moves(
    best: NDArray[np.float32], steps: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Return the best sum with which each pixel is reached, and the index of the step back.

    The steps are tried one after the other; all at once would need a map for each.
    """
    rows, columns = best.shape
    reached = np.full(best.shape, -np.inf, np.float32)
    choice = np.zeros(best.shape, np.int16)
    for number, (a, b) in enumerate(steps):
        to_rows, from_rows = _overlap(rows, a)
        to_columns, from_columns = _overlap(columns, b)
        offered = best[from_rows, from_columns] - np.float32(BEND_COST * (a * a + b * b))
        known = reached[to_rows, to_columns]
        better = offered > known
        np.copyto(known, offered, where=better)
        np.copyto(choice[to_rows, to_columns], np.int16(number), where=better)
    return reached, choice


def _overlap(length: int, step: int) -> tuple[slice, slice]:
    """Return the target and source ranges of a move by `step` within 0..length-1."""
    arrives = slice(max(0, -step), length - max(0, step))
    return arrives, slice(arrives.start + step, arrives.stop + step)
