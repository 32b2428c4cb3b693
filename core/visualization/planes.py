"""CT planes as pictures and where they hang in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.constants import HU_AIR
from core.preprocessing.intensity import window_to_uint8
from core.types import CTVolume, HuWindow

LONGEST_PX: Final = 384
"""Of a plane's picture; more would not show at the size of a scene."""
_QUALITY: Final = 82


@dataclass(frozen=True, slots=True, eq=False)
class CtPlane:
    """A picture of CT and its place.

    Attributes:
        image: uint8 (rows, columns), windowed.
        corners: float64 (3, 3), LPS mm: of the picture's upper left, upper right and lower left
            corner.
    """

    image: NDArray[np.uint8]
    corners: NDArray[np.float64]

    def jpeg(self) -> bytes:
        """The picture as a JPEG file."""
        done, encoded = cv2.imencode(".jpg", self.image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not done:
            raise ValueError("The plane cannot be written as JPEG.")
        return encoded.tobytes()


def axial_plane(volume: CTVolume, index: int, window: HuWindow) -> CtPlane:
    """A slice as scanned.

    Args:
        volume: The series.
        index: Slice, 0 the most cranial.
        window: HU window.

    Raises:
        ValueError: There is no such slice.
    """
    if not 0 <= index < volume.n_slices:
        raise ValueError(f"Slice {index} does not exist; there are 0 to {volume.n_slices - 1}.")
    grey = window_to_uint8(volume.hu[index], window)
    rows, columns = grey.shape
    scale = min(LONGEST_PX / max(rows, columns), 1.0)
    if scale < 1:
        size = max(round(columns * scale), 1), max(round(rows * scale), 1)
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    ends = [(index, -0.5, -0.5), (index, -0.5, columns - 0.5), (index, rows - 0.5, -0.5)]
    return CtPlane(grey, _to_world(np.array(ends, dtype=np.float64), volume.affine))


def upright_plane(
    volume: CTVolume,
    center: NDArray[np.float64],
    turn_deg: float,
    window: HuWindow,
    *,
    half_width_mm: float = np.inf,
) -> CtPlane:
    """A plane along the neck, head on top: sagittal at 0°, coronal at 90°.

    Args:
        volume: The series.
        center: float64 (3,), a point of the plane in LPS mm.
        turn_deg: Turn of the plane about the z axis. At 0° the picture's left is the patient's
            front; at 90° it is the patient's right.
        window: HU window.
        half_width_mm: How far the picture reaches from `center` to either side at most.
    """
    low, high = bounds(volume)
    turn = np.deg2rad(turn_deg)
    along = np.array([np.sin(turn), np.cos(turn), 0.0])
    left, right = _chord(center, along, low, high)
    left, right = max(left, -half_width_mm), min(right, half_width_mm)
    step = max(right - left, high[2] - low[2], 1.0) / LONGEST_PX
    step = max(step, min(volume.spacing_mm))
    columns = max(round((right - left) / step), 1)
    rows = max(round((high[2] - low[2]) / step), 1)
    u = left + (np.arange(columns) + 0.5) * step
    z = high[2] - (np.arange(rows) + 0.5) * step
    points = np.empty((rows, columns, 3))
    points[..., :2] = center[:2] + u[:, None] * along[:2]
    points[..., 2] = z[:, None]
    inverse = np.linalg.inv(volume.affine)
    index = np.moveaxis(points @ inverse[:3, :3].T + inverse[:3, 3], -1, 0)
    hu = ndimage.map_coordinates(
        volume.hu, index, order=1, mode="constant", cval=float(HU_AIR), output=np.float32
    )
    ends = np.array([[left, high[2]], [left + columns * step, high[2]],
                     [left, high[2] - rows * step]])  # fmt: skip
    corners = np.empty((3, 3))
    corners[:, :2] = center[:2] + ends[:, :1] * along[:2]
    corners[:, 2] = ends[:, 1]
    return CtPlane(window_to_uint8(np.rint(hu).astype(np.int16), window), corners)


def bounds(volume: CTVolume) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest LPS coordinate of the volume's voxels, mm."""
    ends = np.array(volume.hu.shape) - 0.5
    corners = np.array([(z, y, x) for z in (-0.5, ends[0]) for y in (-0.5, ends[1])
                        for x in (-0.5, ends[2])])  # fmt: skip
    world = _to_world(corners, volume.affine)
    return world.min(axis=0), world.max(axis=0)


def _chord(
    center: NDArray[np.float64],
    along: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> tuple[float, float]:
    """Where the line center + u * along enters and leaves the volume's box, u in mm."""
    enter, leave = -np.inf, np.inf
    for axis in (0, 1):
        if abs(along[axis]) > 1e-9:
            ends = sorted((edge[axis] - center[axis]) / along[axis] for edge in (low, high))
            enter, leave = max(enter, ends[0]), min(leave, ends[1])
    return (float(enter), float(leave)) if leave > enter else (-1.0, 1.0)


def _to_world(index: NDArray[np.float64], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return index @ affine[:3, :3].T + affine[:3, 3]
