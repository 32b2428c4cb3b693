"""Where the slices of a series lie: their order, the volume's affine and what is odd about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.dicom.gantry_tilt import MIN_TILT_DEGREES, leaning_mm, tilt_degrees
from core.dicom.headers import SliceHeader
from core.dicom.orientation import nearest_axes, stored_plane
from core.dicom.slice_places import SAME_POSITION_MM
from core.dicom.volume_groups import usable_spacing
from core.errors import DicomSeriesError
from core.types import AS_STORED, AxisOrder

_UNEVEN: Final = 0.1
_AXIAL: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_MEND_EXPORT: Final = "export the series again with its geometry"


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """The files of one series in order, and their place in the patient.

    Everything here is in the axes of the files; `core.dicom.volume_grid` turns it.

    Attributes:
        headers: File 0 is the most cranial one, where the files are axial slices.
        z_mm: float64 (n_slices,), along the slice normal that points to the head; decreasing.
        spacing_mm: (file, row, column); the first is the median distance of slices.
        affine: float64 (4, 4), index (file, row, column, 1) to LPS mm. Its axes are perpendicular
            up to the tilt that is left, at most `MIN_TILT_DEGREES`.
        axes: How the axes of the volume run along those of the files.
        notes: Sentences for the user.
        normal: float64 (3,), unit normal of the slices that points to the head.
        tilt_degrees: Lean of the stack against its normal; 0 for a single slice.
        shift_px: float64 (n_slices, 2), pixels (x, y) by which each slice is to be moved so that
            the grid is rectangular; None where it is so already.
    """

    headers: tuple[SliceHeader, ...]
    z_mm: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    notes: tuple[str, ...]
    normal: NDArray[np.float64]
    axes: AxisOrder = AS_STORED
    tilt_degrees: float = 0.0
    shift_px: NDArray[np.float64] | None = None


def place_slices(headers: Sequence[SliceHeader]) -> Placement:
    """Order the slices of one series along their normal and work out the geometry.

    Slices that repeat a position are left out; the lowest instance number stays.

    Args:
        headers: At least one, of one volume as `choose_volume` gives it.

    Raises:
        DicomSeriesError: A slice has no usable position, orientation or pixel spacing, or the
            slices are unevenly spaced without being axial.
    """
    notes: list[str] = []
    _check_spacing(headers)
    rows, columns = _orientation(headers, notes)
    normal = _normal_to_head(rows, columns)
    positions = _positions(headers, normal, notes)
    heights = positions @ normal
    order = sorted(
        range(len(headers)),
        key=lambda k: (-heights[k], headers[k].instance_number, headers[k].sop_uid),
    )
    order = _drop_repeats(order, heights, notes)
    ordered = tuple(headers[k] for k in order)
    z_mm, positions = heights[order], positions[order]
    spacing = ordered[0].spacing or (1.0, 1.0)
    lean = tilt_degrees(positions, normal)
    shift_mm = leaning_mm(positions, rows, columns) if lean > MIN_TILT_DEGREES else None
    _note_tilt(ordered, lean, shift_mm, notes)
    z_spacing = _z_spacing(z_mm, ordered[0].thickness, notes)
    affine = np.eye(4)
    affine[:3, 0] = _slice_step(positions, normal, z_spacing)
    affine[:3, 1] = columns * spacing[0]
    affine[:3, 2] = rows * spacing[1]
    affine[:3, 3] = positions[0]
    if shift_mm is not None:
        affine[:3, 0] = (affine[:3, 0] @ normal) * normal
        affine[:3, 3] -= rows * shift_mm[0, 0] + columns * shift_mm[0, 1]
    axes = nearest_axes(affine)
    _check_axes(axes, ordered, z_mm, notes)
    return Placement(
        headers=ordered,
        z_mm=z_mm,
        spacing_mm=(z_spacing, spacing[0], spacing[1]),
        affine=affine,
        notes=tuple(notes),
        normal=normal,
        axes=axes,
        tilt_degrees=lean,
        shift_px=None if shift_mm is None else shift_mm / (spacing[1], spacing[0]),
    )


def _check_spacing(headers: Sequence[SliceHeader]) -> None:
    for header in headers:
        if usable_spacing(header) is None:
            raise DicomSeriesError(header.path, "it has no usable PixelSpacing", _MEND_EXPORT)


def _orientation(
    headers: Sequence[SliceHeader], notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the unit directions of a row and of a column, LPS, float64 (3,) each."""
    if all(header.orientation is None for header in headers):
        notes.append("ImageOrientationPatient is missing; the slices are taken as axial.")
        return np.array(_AXIAL[:3]), np.array(_AXIAL[3:])
    first = np.array(next(header.orientation for header in headers if header.orientation))
    for header in headers:
        if header.orientation is None:
            raise DicomSeriesError(
                header.path, "it has no usable ImageOrientationPatient", _MEND_EXPORT
            )
    # Ten decimals or fewer are written, so the directions are only nearly orthonormal.
    rows, columns = first[:3], first[3:]
    lengths = np.linalg.norm(rows), np.linalg.norm(columns)
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(rows @ columns) > 0.01:
        raise DicomSeriesError(
            headers[0].path,
            "its ImageOrientationPatient is not two perpendicular unit vectors",
            _MEND_EXPORT,
        )
    return rows / lengths[0], columns / lengths[1]


def _normal_to_head(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    normal = np.cross(rows, columns)
    normal /= np.linalg.norm(normal)
    leading = normal[2] if abs(normal[2]) > 1e-6 else normal[int(np.argmax(np.abs(normal)))]
    return normal if leading > 0 else -normal


def _positions(
    headers: Sequence[SliceHeader], normal: NDArray[np.float64], notes: list[str]
) -> NDArray[np.float64]:
    """Return the LPS position of each slice's first pixel, float64 (n, 3)."""
    missing = [header for header in headers if header.position is None]
    if not missing:
        return np.array([header.position for header in headers], dtype=np.float64)
    locations = [h.slice_location for h in headers if h.slice_location is not None]
    usable = len(missing) == len(headers) == len(set(locations))
    if not usable:
        raise DicomSeriesError(
            missing[0].path, "it has no usable ImagePositionPatient", _MEND_EXPORT
        )
    notes.append(
        "Without ImagePositionPatient the slices are ordered by SliceLocation, which does not tell "
        "head from feet for certain."
    )
    return np.array(locations, dtype=np.float64)[:, None] * normal


def _drop_repeats(order: list[int], heights: NDArray[np.float64], notes: list[str]) -> list[int]:
    kept = order[:1]
    for k in order[1:]:
        if heights[kept[-1]] - heights[k] >= SAME_POSITION_MM:
            kept.append(k)
    if len(kept) < len(order):
        notes.append(
            f"{len(order) - len(kept)} of {len(order)} slices repeat the position of another one "
            "and were left out."
        )
    return kept


def _slice_step(
    positions: NDArray[np.float64], normal: NDArray[np.float64], z_spacing: float
) -> NDArray[np.float64]:
    """Return the mean LPS step from a slice to the next."""
    if len(positions) == 1:
        return -normal * z_spacing
    return (positions[-1] - positions[0]) / (len(positions) - 1)


def _z_spacing(z_mm: NDArray[np.float64], thickness: float | None, notes: list[str]) -> float:
    if len(z_mm) == 1:
        notes.append("The series is a single slice; its thickness stands for the slice distance.")
        return thickness or 1.0
    steps = -np.diff(z_mm)
    median = float(np.median(steps))
    if _is_uneven(steps):
        notes.append(
            f"The slice distance is uneven: {steps.min():.2f} to {steps.max():.2f} mm, "
            f"median {median:.2f} mm."
        )
    return median


def _is_uneven(steps: NDArray[np.float64]) -> bool:
    median = float(np.median(steps))
    return bool((np.abs(steps - median) > _UNEVEN * median).any())


def _check_axes(
    axes: AxisOrder, headers: Sequence[SliceHeader], z_mm: NDArray[np.float64], notes: list[str]
) -> None:
    """Say that voxels are reordered; refuse what would need interpolation for it."""
    if axes.is_identity:
        return
    if axes.keeps_slices:
        notes.append(
            "The slices are stored turned or mirrored; they were brought to the usual orientation, "
            "rows to the patient's left and columns to the back."
        )
        return
    plane = stored_plane(axes)
    if len(z_mm) > 2 and _is_uneven(-np.diff(z_mm)):
        raise DicomSeriesError(
            headers[0].path,
            f"its series is stored in {plane} slices at uneven distances, which cannot be put "
            "together to axial slices",
            "export the series in axial slices, or complete it",
        )
    notes.append(
        f"The series is stored in {plane} slices; axial slices were put together from them, which "
        "have no files of their own."
    )


def _note_tilt(
    headers: Sequence[SliceHeader],
    degrees: float,
    shift_mm: NDArray[np.float64] | None,
    notes: list[str],
) -> None:
    stated = abs(headers[0].gantry_tilt)
    if shift_mm is not None:
        furthest = float(np.linalg.norm(shift_mm, axis=1).max())
        notes.append(
            f"The gantry was tilted by {degrees:.1f}°; the slices were moved within their planes "
            f"by up to {furthest:.1f} mm to stand above each other."
        )
    elif stated > MIN_TILT_DEGREES and len(headers) > 1:
        notes.append(
            f"The header states a gantry tilt of {stated:.1f}°, but the slices stand above each "
            "other; they are taken as straightened already."
        )
