"""Closed triangle surfaces of labelled voxels, in DICOM LPS mm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

import fast_simplification
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

FloatArray = NDArray[np.floating[Any]]

SURFACE_LABELS: Final[dict[int, str]] = {
    **{j: f"C{j}" for j in range(1, 8)},
    **{j: f"T{j - 7}" for j in range(8, 20)},
}
"""Names of the mask's labels: 1..7 = C1..C7, 8..19 = T1..T12."""

_GAUSS_REACH: Final = 3.0
"""Standard deviations of the smoothing kernel that are summed, and so the padding needed."""


_LEVELS: Final = (0.3, 0.6)
"""Levels of the smoothed mask at which a surface may lie."""


@dataclass(frozen=True, slots=True)
class SurfaceSettings:
    """How voxels become triangles.

    Attributes:
        smoothing_mm: Standard deviation of the Gaussian that rounds the voxels' steps; 0 keeps
            them.
        grid_mm: Axes with a coarser spacing are interpolated down to about this first.
        triangles: Most triangles a surface keeps; 0 keeps all.
        fill_holes: Whether cavities that are closed on all sides belong to the object.
        least_mm3: Pieces smaller than this are dropped.
    """

    smoothing_mm: float = 0.6
    grid_mm: float = 1.0
    triangles: int = 6000
    fill_holes: bool = True
    least_mm3: float = 20.0

    def __post_init__(self) -> None:
        if self.smoothing_mm < 0 or self.least_mm3 < 0 or self.triangles < 0:
            raise ValueError(
                "Smoothing, the smallest piece and the number of triangles must not be negative; "
                "use 0 to switch one off."
            )
        if not self.grid_mm > 0:
            raise ValueError(f"The grid needs a step above 0 mm, but it is {self.grid_mm}.")


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """One object's surface.

    Attributes:
        name: For example "C4".
        points: float32 (n, 3), DICOM LPS mm.
        triangles: int32 (m, 3), rows of `points`; counter-clockwise seen from outside.
        voxel_mm3: Volume of the object's voxels, mm³, to check the surface against.
    """

    name: str
    points: NDArray[np.float32]
    triangles: NDArray[np.int32]
    voxel_mm3: float

    @property
    def volume_mm3(self) -> float:
        """Enclosed volume by the divergence theorem, mm³."""
        return signed_volume(self.points, self.triangles)

    @property
    def area_mm2(self) -> float:
        """Area, mm²."""
        a, b, c = (self.points[self.triangles[:, k]].astype(np.float64) for k in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @property
    def center(self) -> NDArray[np.float64]:
        """Middle of the bounding box, LPS mm."""
        return (self.points.min(axis=0) + self.points.max(axis=0)).astype(np.float64) / 2


def signed_volume(points: FloatArray, triangles: NDArray[np.int32]) -> float:
    """Volume enclosed by outward triangles, mm³; negative where they face inwards."""
    origin = points.mean(axis=0, dtype=np.float64) if len(points) else 0.0
    a, b, c = (points[triangles[:, k]].astype(np.float64) - origin for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def label_surfaces(
    labels: NDArray[np.uint8],
    affine: NDArray[np.float64],
    settings: SurfaceSettings = SurfaceSettings(),
) -> dict[str, Surface]:
    """Surface of every label that has voxels, by name.

    Args:
        labels: uint8 (z, y, x); 0 background, 1..7 C1..C7, 8..19 T1..T12.
        affine: float64 (4, 4), voxel indices (z, y, x, 1) to LPS mm.
        settings: How voxels become triangles.

    Returns:
        By name in the order of the labels. A label without voxels, or with pieces that are all too
        small, is left out.

    Raises:
        ValueError: The labels are no volume.
    """
    if labels.ndim != 3:
        raise ValueError(f"Labels need the axes (z, y, x), but have {labels.ndim} axes.")
    found: dict[str, Surface] = {}
    if labels.size == 0:
        return found
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        name = SURFACE_LABELS.get(index)
        if box is None or name is None:
            continue
        start = np.array([axis.start for axis in box], dtype=np.float64)
        surface = mask_surface(labels[box] == index, affine, settings, name=name, start=start)
        if surface is not None:
            found[name] = surface
    return found


def mask_surface(
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
    settings: SurfaceSettings = SurfaceSettings(),
    *,
    name: str,
    start: NDArray[np.float64] | None = None,
) -> Surface | None:
    """Closed surface of a mask; None where nothing of it is left.

    Flying edges on the mask smoothed by a Gaussian, then quadric decimation. The level of the
    surface is the one that keeps the mask's volume: at the usual 0.5 smoothing would eat 4 % of a
    vertebra, and more of its laminae. The mask is padded, so that an object cut by the volume's
    edge is closed there.

    Args:
        mask: bool (z, y, x).
        affine: float64 (4, 4), voxel indices (z, y, x, 1) of the whole volume to LPS mm.
        settings: How voxels become triangles.
        name: Of the surface.
        start: Voxel index (z, y, x) of the mask's first voxel in the volume; zeros by default.
    """
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    mask = _tidied(mask, settings, voxel_mm3)
    if not mask.any():
        return None
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    field, factor, pad = _smoothed(mask, spacing, settings)
    points, triangles = _contour(field, _level(field, int(mask.sum() * factor.prod())))
    if not len(triangles):
        return None
    # Voxel k of an axis refined by f lies at (k + 0.5) / f - 0.5 of the coarse one.
    index = (points[:, ::-1] + 0.5) / factor - 0.5 - pad + (0 if start is None else start)
    world = (index @ affine[:3, :3].T + affine[:3, 3]).astype(np.float32)
    world, triangles = _decimated(world, triangles, settings.triangles)
    if signed_volume(world, triangles) < 0:
        triangles = np.ascontiguousarray(triangles[:, ::-1])
    return Surface(name, world, triangles, float(mask.sum()) * voxel_mm3)


def _tidied(
    mask: NDArray[np.bool_], settings: SurfaceSettings, voxel_mm3: float
) -> NDArray[np.bool_]:
    """Without closed cavities and without specks."""
    if settings.fill_holes:
        # Labelling the background once is several times as fast as scipy's binary_fill_holes.
        found = ndimage.label(~np.pad(mask, 1))
        around, count = cast(tuple[NDArray[np.int32], int], found)
        if count > 1:
            mask = (around != around[0, 0, 0])[1:-1, 1:-1, 1:-1]
    if settings.least_mm3 <= voxel_mm3:
        return mask
    found = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    pieces, count = cast(tuple[NDArray[np.int32], int], found)
    if count == 0:
        return mask
    keep = np.bincount(pieces.ravel()) * voxel_mm3 >= settings.least_mm3
    keep[0] = False
    return mask if keep[1:].all() else keep[pieces]


def _smoothed(
    mask: NDArray[np.bool_], spacing: NDArray[np.float64], settings: SurfaceSettings
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """The mask as a smooth field, float32; how far each axis was refined and padded.

    The smoothing makes up for the blur that interpolation adds to a coarse axis.
    """
    factor = np.maximum(np.rint(spacing / settings.grid_mm), 1).astype(np.int64)
    sigma = settings.smoothing_mm / (spacing / factor)
    pad = np.ceil(_GAUSS_REACH * sigma / factor).astype(np.int64) + 2
    field = np.pad(mask, [(int(p), int(p)) for p in pad]).astype(np.float32)
    for axis, times in enumerate(factor):
        if times > 1:
            field = _refined(field, axis, int(times))
    for axis, width in enumerate(sigma):
        if width > 0:
            smooth = ndimage.gaussian_filter1d(
                field, float(width), axis=axis, mode="constant", truncate=_GAUSS_REACH
            )
            field = np.asarray(smooth, np.float32)
    return field, factor.astype(np.float64), pad.astype(np.float64)


def _refined(field: NDArray[np.float32], axis: int, times: int) -> NDArray[np.float32]:
    """Linear interpolation to `times` as many samples, each the middle of its part of a voxel."""
    field = np.moveaxis(field, axis, 0)
    place = (np.arange(len(field) * times) + 0.5) / times - 0.5
    lower = np.clip(np.floor(place).astype(np.int64), 0, len(field) - 2)
    share = np.clip(place - lower, 0, 1).astype(np.float32)[:, None, None]
    fine = field[lower] * (1 - share) + field[lower + 1] * share
    return np.ascontiguousarray(np.moveaxis(fine, 0, axis), dtype=np.float32)


def _level(field: NDArray[np.float32], inside: int) -> float:
    """The level that leaves `inside` samples above it, kept within _LEVELS."""
    place = field.size - inside
    around = np.partition(field.ravel(), (place - 1, place))[place - 1 : place + 1]
    return float(np.clip(around.mean(), *_LEVELS))


def _contour(
    field: NDArray[np.float32], level: float
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Points (x, y, z) in voxels and triangles of the surface at a level."""
    image = vtkImageData()
    image.SetDimensions(*field.shape[::-1])
    flat = np.ascontiguousarray(field).ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=False))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, level)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    out = edges.GetOutput()
    if out.GetNumberOfCells() == 0:
        return np.empty((0, 3)), np.empty((0, 3), np.int32)
    points = np.array(vtk_to_numpy(out.GetPoints().GetData()), dtype=np.float64)
    ids = vtk_to_numpy(out.GetPolys().GetConnectivityArray())
    return points, np.ascontiguousarray(ids.reshape(-1, 3), dtype=np.int32)


def _decimated(
    points: NDArray[np.float32], triangles: NDArray[np.int32], most: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """At most about `most` triangles, by quadric edge collapse."""
    if most == 0 or len(triangles) <= most:
        return points, triangles
    # From the middle, because the library works in float32.
    middle = points.mean(axis=0)
    found = fast_simplification.simplify(points - middle, triangles, target_count=most)
    kept, fewer = cast(tuple[FloatArray, NDArray[np.int64]], found)
    return np.asarray(kept, np.float32) + middle, np.asarray(fewer, np.int32)
