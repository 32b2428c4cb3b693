"""DICOM segmentations of vertebrae as labels and their place, like a NIfTI mask's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import unpack_bits
from pydicom.uid import SegmentationStorage

from core.dataset.vertebra_codes import label_of
from core.errors import DataRootError

MAX_MASK_BYTES: Final = 1 << 30
"""At one byte per voxel, RSNA's largest mask takes a quarter of it."""
MAX_SEGMENT_FRAMES: Final = 65_536
"""Frames are segments times planes."""
_EVEN: Final = 0.05
"""Of a step: how far planes may lie from an even grid that is taken as one."""
_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def has_preamble(head: bytes) -> bool:
    """Whether a file of these first 132 bytes is DICOM, by the mark after its preamble."""
    return head[128:132] == b"DICM"


def read_segmentation(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Read the vertebrae of a segmentation; other segments are left out.

    Segments are known by the code of what they show, else by their label. Where two overlap, the
    more caudal one is taken. Planes at uneven distances are put on an even grid that is fine enough
    to find each of them at its own position.

    Returns:
        uint8 (plane, row, column), 0..19, and float64 (4, 4) from these and 1 to RAS mm.

    Raises:
        DataRootError: It cannot be read, is no binary segmentation, shows no vertebra, or its
            planes are not parallel.
    """
    try:
        found = pydicom.dcmread(path)
        return _read(path, found)
    except DataRootError:
        raise
    except FileNotFoundError as error:
        raise DataRootError(f"{path} does not exist; put the mask there.") from error
    except Exception as error:
        # A damaged element fails wherever pydicom meets it, in many ways.
        raise DataRootError(
            f"{path} cannot be read as a DICOM segmentation; copy it again."
        ) from error


def _read(path: Path, found: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    if found.get("SOPClassUID") != SegmentationStorage or found.SegmentationType != "BINARY":
        raise DataRootError(
            f"{path} is no binary DICOM segmentation; export the mask as one, or as NIfTI."
        )
    labels = {int(one.SegmentNumber): _label(one) for one in found.SegmentSequence}
    if not any(labels.values()):
        raise DataRootError(
            f"{path}: no segment is a vertebra by its code or label; name them C1 to C7."
        )
    frames, rows, columns = int(found.NumberOfFrames), int(found.Rows), int(found.Columns)
    if frames > MAX_SEGMENT_FRAMES or frames * rows * columns > 8 * MAX_MASK_BYTES:
        raise DataRootError(
            f"{path}: the mask claims {frames:,} frames of {rows} x {columns} pixels; export it as "
            "one volume."
        )
    places = _places(found)
    drawn = _Frames(found, [labels[places.segments[k]] for k in range(frames)])
    return _on_grid(path, places, drawn)


def _label(segment: Dataset) -> int:
    shown: Any = segment.get("SegmentedPropertyTypeCodeSequence") or [Dataset()]
    return label_of(str(shown[0].get("CodeValue", "")), str(segment.get("SegmentLabel", "")))


class _Places:
    """Where frames lie.

    Attributes:
        segments: Segment number of each frame.
        corners: float64 (n, 3), LPS mm of each frame's first pixel.
        across: float64 (3, 2), LPS mm from row to row and from column to column.
        thickness: mm.
    """

    def __init__(
        self, segments: list[int], corners: NDArray[np.float64], across: NDArray[np.float64],
        thickness: float,
    ) -> None:  # fmt: skip
        self.segments, self.corners, self.across = segments, corners, across
        self.thickness = thickness

    @property
    def heights(self) -> NDArray[np.float64]:
        """float64 (n,), mm along the normal of the planes."""
        normal = np.cross(self.across[:, 1], self.across[:, 0])
        return self.corners @ (normal / np.linalg.norm(normal))


class _Frames:
    """Frames of one bit per pixel, unpacked one by one.

    Attributes:
        labels: Label of each frame's segment, 0 for no vertebra.
        shape: Rows and columns.
    """

    def __init__(self, found: Dataset, labels: list[int]) -> None:
        self.labels = labels
        self.shape = int(found.Rows), int(found.Columns)
        if found.file_meta.TransferSyntaxUID.is_compressed:
            self._pixels: Any = found.pixel_array.reshape(-1, *self.shape)
            self._packed = b""
        else:
            self._pixels, self._packed = None, found.PixelData

    def __getitem__(self, k: int) -> NDArray[np.bool_]:
        """Pixels of frame k, bool (row, column)."""
        if self._pixels is not None:
            return self._pixels[k] != 0
        size = self.shape[0] * self.shape[1]
        first = k * size // 8
        bits: Any = unpack_bits(self._packed[first : ((k + 1) * size + 7) // 8])
        start = k * size - 8 * first
        return bits[start : start + size].reshape(self.shape).astype(bool)


def _places(found: Dataset) -> _Places:
    shared = found.SharedFunctionalGroupsSequence[0]
    own = list(found.PerFrameFunctionalGroupsSequence)

    def of(group: str, k: int) -> Dataset:
        return (own[k] if group in own[k] else shared)[group].value[0]

    corners = np.array(
        [of("PlanePositionSequence", k).ImagePositionPatient for k in range(len(own))], np.float64
    )
    turned = np.array(
        [of("PlaneOrientationSequence", k).ImageOrientationPatient for k in range(len(own))],
        np.float64,
    )
    if np.ptp(turned, axis=0).max() > 1e-4:
        raise DataRootError("The planes of a mask are not parallel; export it as one volume.")
    measures = of("PixelMeasuresSequence", 0)
    row_mm, column_mm = map(float, measures.PixelSpacing)
    across = np.stack([turned[0, 3:] * row_mm, turned[0, :3] * column_mm], axis=1)
    segments = [
        int(of("SegmentIdentificationSequence", k).ReferencedSegmentNumber) for k in range(len(own))
    ]
    thickness = float(measures.get("SliceThickness") or 1.0)
    return _Places(segments, corners, across, thickness)


def _on_grid(
    path: Path, places: _Places, frames: _Frames
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    heights = places.heights
    levels, plane_of = _levels(heights, places.thickness)
    smallest = float(np.diff(levels).min()) if len(levels) > 1 else places.thickness
    steps = (levels - levels[0]) / smallest
    even = bool((np.abs(steps - np.rint(steps)) <= _EVEN).all())
    step = smallest if even else smallest / 2
    count = round((levels[-1] - levels[0]) / step) + 1
    if count * frames.shape[0] * frames.shape[1] > MAX_MASK_BYTES:
        raise DataRootError(
            f"{path}: the mask spans {count:,} planes of {frames.shape[0]} x {frames.shape[1]} "
            "pixels; export it as one volume."
        )
    planes = np.zeros((len(levels), *frames.shape), np.uint8)
    for k, label in enumerate(frames.labels):
        if label:
            plane = planes[plane_of[k]]
            np.maximum(plane, np.where(frames[k], np.uint8(label), np.uint8(0)), out=plane)
    grid = levels[0] + step * np.arange(count)
    nearest = np.abs(grid[:, None] - levels).argmin(axis=1)
    near = np.abs(grid - levels[nearest]) <= 0.5 * smallest * (1 + _EVEN)
    spread = np.zeros((count, *frames.shape), np.uint8)
    spread[near] = planes[nearest[near]]
    return spread, _LPS_TO_RAS @ _affine(path, places, levels, plane_of, step)


def _levels(
    heights: NDArray[np.float64], thickness: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the heights of different planes, ascending, and the plane of each frame."""
    order = np.argsort(heights, kind="stable")
    fresh = np.diff(heights[order], prepend=-np.inf) > 1e-3 * thickness
    plane_of = np.empty(len(heights), np.intp)
    plane_of[order] = np.cumsum(fresh) - 1
    return heights[order][fresh], plane_of


def _affine(
    path: Path,
    places: _Places,
    levels: NDArray[np.float64],
    plane_of: NDArray[np.intp],
    step: float,
) -> NDArray[np.float64]:
    """Return (plane, row, column, 1) to LPS mm, float64 (4, 4); planes may be sheared by a tilt."""
    normal = np.cross(places.across[:, 1], places.across[:, 0])
    normal /= np.linalg.norm(normal)
    up = levels[plane_of] - levels[0]
    aside = places.corners - up[:, None] * normal
    lean = np.zeros(3)
    if (spread := up - up.mean()).any():
        lean = spread @ (aside - aside.mean(axis=0)) / (spread @ spread)
    corner = (aside - up[:, None] * lean).mean(axis=0)
    off = np.linalg.norm(aside - up[:, None] * lean - corner, axis=1).max()
    if off > 0.5 * np.linalg.norm(places.across, axis=0).min():
        raise DataRootError(
            f"{path}: the planes of the mask do not lie above each other; export it as one volume."
        )
    affine = np.eye(4)
    affine[:3, 0] = step * (normal + lean)
    affine[:3, 1:3] = places.across
    affine[:3, 3] = corner
    return affine
