"""Where slices lie along their normal, and whether one is missing between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.dicom.headers import SliceHeader

SAME_POSITION_MM: Final = 0.01
"""Slices closer than this count as one position; the thinnest real spacing is 0.3 mm."""

MIN_STACK: Final = 3
"""Fewer slices have no usual step."""

_GAP: Final = 1.5
"""A step is a gap from so many usual steps on."""
_EVEN: Final = 0.1
_SKEWED: Final = 1e-6


def slice_heights(headers: Sequence[SliceHeader]) -> NDArray[np.float64] | None:
    """Return positions along the common normal in mm, float64 (n,); None if any is missing."""
    orientation = next((h.orientation for h in headers if h.orientation is not None), None)
    positions = [header.position for header in headers]
    if any(position is None for position in positions):
        return None
    return np.array(positions, np.float64) @ slice_normal(orientation)


def slice_normal(orientation: tuple[float, ...] | None) -> NDArray[np.float64]:
    """Return the normal of slices, float64 (3,); the body's axis without a usable orientation."""
    normal = np.zeros(3) if orientation is None else np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    return normal / length if length > _SKEWED else np.array((0.0, 0.0, 1.0))


def in_gap(places: NDArray[np.float64], place: float) -> bool:
    """Whether a slice at `place` would fill a gap between others.

    Args:
        places: Positions or instance numbers of the others, float64 (n,), ascending.
        place: Position or number of the slice.
    """
    if len(places) < MIN_STACK or not places[0] < place < places[-1]:
        return False
    steps = np.diff(places)
    after = int(np.searchsorted(places, place))
    near = min(place - places[after - 1], places[after] - place)
    usual = _usual_step(steps)
    return bool(steps[after - 1] >= _GAP * usual and near >= min(SAME_POSITION_MM, usual / 2))


def has_gap(places: NDArray[np.float64]) -> bool:
    """Whether a step between `places`, ascending, is larger than the usual one."""
    steps = np.diff(places)
    return len(steps) > 1 and bool((steps >= _GAP * _usual_step(steps)).any())


def _usual_step(steps: NDArray[np.float64]) -> float:
    """Return the lower median of the steps between different places."""
    real = np.sort(steps[steps >= SAME_POSITION_MM])
    return float(real[(len(real) - 1) // 2]) if len(real) else float("inf")


def is_even(headers: Sequence[SliceHeader]) -> bool:
    """Whether slices stand at even distances, each at a position of its own."""
    heights = slice_heights(headers)
    if heights is None:
        return False
    steps = np.diff(np.sort(heights))
    usual = _usual_step(steps)
    return bool((np.abs(steps - usual) <= _EVEN * usual).all())
