"""Boxes on the pixels of a series' files, and the same boxes on the slices of its volume.

Where the files are axial slices, a box has one counterpart. Where they are sagittal or coronal, a
box on a slice crosses many files in one line of pixels each, and the other way round: each plane
that a box crosses gets its cross-section, and sections of neighbouring boxes that touch there
become one box around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from core.dicom.orientation import file_edges, volume_edges
from core.types import AS_STORED, AxisOrder, CTVolume

_TOUCH_PX = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class PlaneBoxes:
    """Boxes on parallel planes: the files of a series, or the slices of its volume.

    Attributes:
        index: int64 (n,), plane of each box.
        xyxy: float64 (n, 4), pixel edges.
        scores: float64 (n,).
    """

    index: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.index)


@dataclass(frozen=True, slots=True, eq=False)
class BoxMapping:
    """The way between the files of a series and its volume.

    Attributes:
        axes: As `CTVolume.axes`.
        shape: (z, y, x) of the volume; of no account where `axes` is the identity.
        shift_px: float64 (n_files, 2), as `CTVolume.shift_px`.
    """

    axes: AxisOrder = AS_STORED
    shape: tuple[int, int, int] = (0, 0, 0)
    shift_px: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, volume: CTVolume) -> BoxMapping:
        """Give the mapping of a volume."""
        z, y, x = volume.hu.shape
        return cls(volume.axes, (z, y, x), volume.shift_px)

    def to_volume(self, boxes: PlaneBoxes) -> PlaneBoxes:
        """Map boxes on the files (index: place in `CTVolume.source_files`) to the slices.

        Where the files are axial slices, the boxes keep their order; otherwise they are ordered by
        slice, and joined ones have the highest of their scores.
        """
        edges = _edges(boxes.index, boxes.xyxy + self._shift(boxes.index))
        mapped = volume_edges(edges, self.shape, self.axes)
        own = self.axes.keeps_slices
        return _on_planes(mapped, boxes.scores, self.shape[0], own_plane=own)

    def to_files(self, boxes: PlaneBoxes) -> PlaneBoxes:
        """Map boxes on the slices to the files, the inverse of `to_volume`."""
        edges = _edges(boxes.index, boxes.xyxy)
        mapped = file_edges(edges, self.shape, self.axes)
        n_files = self.shape[self.axes.permutation.index(0)]
        own = self.axes.keeps_slices
        found = _on_planes(mapped, boxes.scores, n_files, own_plane=own)
        return PlaneBoxes(found.index, found.xyxy - self._shift(found.index), found.scores)

    def _shift(self, files: NDArray[np.int64]) -> NDArray[np.float64]:
        """Right and down twice, float64 (n, 4): what to add to boxes on the files."""
        if self.shift_px is None:
            return np.zeros((len(files), 4))
        return np.tile(self.shift_px[files], (1, 2))


def _edges(index: NDArray[np.int64], xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes as cuboids one plane thick, float64 (n, 2, 3): lower and upper (plane, y, x)."""
    edges = np.empty((len(index), 2, 3))
    edges[:, 0, 0], edges[:, 1, 0] = index, index + 1
    edges[:, :, 1:] = xyxy.reshape(-1, 2, 2)[:, :, ::-1]
    return edges


def _on_planes(
    edges: NDArray[np.float64], scores: NDArray[np.float64], n_planes: int, *, own_plane: bool
) -> PlaneBoxes:
    """Cut cuboids with the planes across axis 0; `own_plane`: each lies in one of them."""
    if own_plane:
        index = np.rint(edges[:, 0, 0]).astype(np.int64)
        return PlaneBoxes(index, _xyxy(edges[:, :, 1:]), scores)
    plane, member = _crossed(edges[:, :, 0], n_planes)
    index, joined, best = [np.empty(0, np.int64)], [np.empty((0, 2, 2))], [np.empty(0)]
    for one in np.unique(plane):
        own = plane == one
        bounds, score = _joined(edges[member[own], :, 1:], scores[member[own]])
        index.append(np.full(len(score), one, np.int64))
        joined.append(bounds)
        best.append(score)
    return PlaneBoxes(np.concatenate(index), _xyxy(np.concatenate(joined)), np.concatenate(best))


def _xyxy(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (n, 4) of lower and upper (y, x), float64 (n, 2, 2)."""
    return bounds[:, :, ::-1].reshape(-1, 4)


def _crossed(
    ends: NDArray[np.float64], n_planes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the planes whose middle lies in each interval (n, 2), or the nearest, and whose it is.

    Returns:
        int64 (m,) planes, and int64 (m,) numbers of the intervals.
    """
    first, past = np.ceil(ends - 0.5).astype(np.int64).T
    nearest = np.floor(ends.mean(axis=1)).astype(np.int64)
    first, past = np.where(past > first, (first, past), (nearest, nearest + 1))
    first, past = np.clip(first, 0, n_planes), np.clip(past, 0, n_planes)
    plane = [np.arange(a, b) for a, b in zip(first.tolist(), past.tolist(), strict=True)]
    member = np.repeat(np.arange(len(ends)), past - first)
    return np.concatenate([np.empty(0, np.int64), *plane]), member


def _joined(
    sections: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Enclose sections of one plane that touch; float64 (k, 2, 2) with scores (k,)."""
    low, high = sections[:, 0], sections[:, 1] + _TOUCH_PX
    touch = ((low[:, None] <= high[None]) & (low[None] <= high[:, None])).all(axis=2)
    count, group = connected_components(touch, directed=False)
    bounds, best = np.empty((count, 2, 2)), np.empty(count)
    for number in range(count):
        own = group == number
        bounds[number] = sections[own, 0].min(axis=0), sections[own, 1].max(axis=0)
        best[number] = scores[own].max()
    return bounds, best
