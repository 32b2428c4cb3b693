"""The pictures of a report: slices in the bone window, true to their spacing, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.constants import DISPLAY_WINDOWS
from core.prepared.planes import planes_grid, reduce_volume
from core.preprocessing.intensity import window_to_uint8
from core.types import CTVolume, HuWindow

SIDE: Final = 420
"""Pixels along the longer side."""
_BONE: Final = HuWindow(*DISPLAY_WINDOWS["bone"])
_AMBER_BGR: Final = (15, 130, 217)
_TEAL_BGR: Final = (212, 198, 98)
_STRENGTH: Final = 0.55

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture and what it shows.

    Attributes:
        caption: One sentence.
        png: The file's bytes.
        size: Width and height in pixels.
    """

    caption: str
    png: bytes
    size: tuple[int, int]


def slice_picture(volume: CTVolume, index: int, caption: str) -> Picture:
    """An axial slice in the bone window."""
    return _picture(_grey_slice(volume, index), caption)


def heat_picture(volume: CTVolume, index: int, heat: NDArray[np.float32], caption: str) -> Picture:
    """An axial slice under a heat map.

    Args:
        volume: The study.
        index: The slice.
        heat: float32 (h, w) in [0, 1]; 0 leaves the slice as it is.
        caption: Of the picture.
    """
    grey = cv2.cvtColor(_grey_slice(volume, index), cv2.COLOR_GRAY2BGR)
    levels = np.rint(heat * 255).astype(np.uint8)
    size = (grey.shape[1], grey.shape[0])
    enlarged = cv2.resize(levels, size, interpolation=cv2.INTER_LINEAR)
    colors = cv2.applyColorMap(enlarged, cv2.COLORMAP_INFERNO)
    share = (_STRENGTH * np.minimum(enlarged / 140.0, 1.0))[..., None]
    mixed = grey * (1 - share) + colors * share
    return _picture(np.rint(mixed).astype(np.uint8), caption)


def box_picture(volume: CTVolume, index: int, xyxy: NDArray[np.float64], caption: str) -> Picture:
    """An axial slice with boxes.

    Args:
        volume: The study.
        index: The slice.
        xyxy: Edges in pixels of the slice, float64 (n, 4).
        caption: Of the picture.
    """
    grey = _grey_slice(volume, index)
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    rows, columns = volume.hu.shape[1:]
    scale = np.tile([grey.shape[1] / columns, grey.shape[0] / rows], 2)
    for left, top, right, bottom in np.rint(xyxy * scale).astype(int).tolist():
        cv2.rectangle(picture, (left, top), (right, bottom), _AMBER_BGR, 2)
    return _picture(np.asarray(picture, dtype=np.uint8), caption)


def sagittal_picture(
    volume: CTVolume, slices: Sequence[int], levels: Mapping[str, tuple[int, int]] | None = None
) -> Picture:
    """The middle sagittal plane with lines where `slices` cross it.

    Args:
        volume: The study.
        slices: Slices to mark.
        levels: First and last slice of each vertebra that is seen, whose name stands at its middle.
    """
    grid = planes_grid(volume)
    plane = reduce_volume(volume)[:, :, grid.shape[2] // 2]
    grey = _true_aspect(window_to_uint8(np.ascontiguousarray(plane), _BONE), grid.spacing_mm[:2])
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    height_mm = grid.shape[0] * grid.spacing_mm[0]

    def row_of(index: int) -> int:
        below = grid.top_mm - float(volume.z_mm[index])
        return round(below / height_mm * grey.shape[0])

    for name, (first, last) in (levels or {}).items():
        y = row_of((first + last) // 2)
        cv2.line(picture, (0, y), (10, y), _TEAL_BGR, 2)
        cv2.putText(picture, name, (14, y + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _TEAL_BGR, 1,
                    cv2.LINE_AA)  # fmt: skip
    for index in slices:
        y = row_of(index)
        cv2.line(picture, (0, y), (grey.shape[1], y), _AMBER_BGR, 2)
    which = ", ".join(str(index) for index in slices)
    caption = f"Middle sagittal plane, slices {which} marked; front to the left"
    return _picture(np.asarray(picture, dtype=np.uint8), caption)


def _grey_slice(volume: CTVolume, index: int) -> Grey:
    return _true_aspect(window_to_uint8(volume.hu[index], _BONE), volume.spacing_mm[1:])


def _true_aspect(grey: Grey, spacing_mm: tuple[float, float]) -> Grey:
    height_mm, width_mm = grey.shape[0] * spacing_mm[0], grey.shape[1] * spacing_mm[1]
    scale = SIDE / max(height_mm, width_mm)
    size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    how = cv2.INTER_AREA if size[0] < grey.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, size, interpolation=how), dtype=np.uint8)


def _picture(pixels: NDArray[np.uint8], caption: str) -> Picture:
    _, encoded = cv2.imencode(".png", pixels)
    return Picture(caption, encoded.tobytes(), (pixels.shape[1], pixels.shape[0]))
