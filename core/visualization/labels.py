"""Which vertebra a voxel belongs to: a mask, a segmenter, or bone cut along z by presence.

All give a `VertebraLabels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.constants import N_VERTEBRAE
from core.models.bundles import BundleInfo
from core.preprocessing.spine_field import find_spine_field
from core.types import CTVolume
from core.visualization.bone import bone_mask

LabelSource = Literal["mask", "segmenter", "presence"]

SPINE_RADIUS_MM: Final = 38.0
"""Half-width of the column in which bone counts as vertebra; C1's processes reach about 40 mm."""
LEAST_PRESENCE: Final = 0.5
_TIE: Final = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class VertebraLabels:
    """Labels of one study's voxels and where they come from.

    Attributes:
        labels: uint8 (z, y, x), 0 background, 1..7 C1..C7, 8..19 T1..T12.
        source: "mask" for a true segmentation, "segmenter" for a network's, "presence" for bone cut
            into slabs.
    """

    labels: NDArray[np.uint8]
    source: LabelSource


def labels_from_segmenter(volume: CTVolume, bundle: BundleInfo) -> VertebraLabels | None:
    """Label a series by a network; None if it finds none of C1..C7.

    Args:
        volume: The series.
        bundle: A segmentation bundle.

    Raises:
        BundleError: The bundle cannot be used.
    """
    from core.inference.segmentation import SegmentationPredictor

    labels = SegmentationPredictor(bundle, device="cpu").segment(volume).volume_labels()
    labels[labels > N_VERTEBRAE] = 0  # Vertebrae below C7 have one label, and no names.
    return VertebraLabels(labels, "segmenter") if labels.any() else None


def labels_from_presence(volume: CTVolume, presence: NDArray[np.floating]) -> VertebraLabels:
    """Cut the bone around the spine into slabs, one a vertebra, by presence along z.

    Neighbouring vertebrae interlock, so a slab holds the tips of its neighbours' processes: good
    enough to see where a level is, not to measure it.

    Args:
        volume: The series.
        presence: float (n_slices, 7), v_ij for C1..C7 in [0, 1].

    Raises:
        ValueError: `presence` has another shape than one row a slice.
    """
    if presence.shape != (volume.n_slices, N_VERTEBRAE):
        raise ValueError(
            f"Presence has shape {presence.shape}, but {volume.n_slices} slices need "
            f"{(volume.n_slices, N_VERTEBRAE)}."
        )
    levels = slab_levels(presence)
    labels = np.zeros(volume.hu.shape, np.uint8)
    if not levels.any():
        return VertebraLabels(labels, "presence")
    # Beyond the vertebrae the skull would draw the course aside.
    first, last = np.flatnonzero(levels)[[0, -1]]
    neck = slice(int(first), int(last) + 1)
    hu = volume.hu[neck]
    course = find_spine_field(hu, volume.spacing_mm, 2 * SPINE_RADIUS_MM).centers_px
    near = _near_course(hu.shape, course, volume.spacing_mm)
    slabs = levels[neck, None, None] * (bone_mask(hu) & near)
    labels[neck] = _largest_pieces(slabs.astype(np.uint8))
    return VertebraLabels(labels, "presence")


def slab_levels(presence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The one level that each slice is given to, in anatomical order from the head down.

    Of all ways to give slices to levels, ordered downwards, the one with the highest sum of v_ij;
    a slice of no level scores `LEAST_PRESENCE`. Among equals, a slice goes to the level whose
    middle is nearest. Found by dynamic programming.

    Args:
        presence: float (n_slices, 7), v_ij.

    Returns:
        uint8 (n_slices,), 1..7 for C1..C7, 0 above, below and between.
    """
    n = len(presence)
    # State 2j is "no vertebra, the last one was Cj", state 2j - 1 is "Cj".
    gain = np.full((n, 2 * N_VERTEBRAE + 1), LEAST_PRESENCE)
    gain[:, 1::2] = presence - _TIE * _distance_from_middle(presence)
    best = np.zeros(gain.shape[1])
    came_from = np.zeros(gain.shape, np.int64)
    for i in range(n):
        leader = np.maximum.accumulate(best)
        came_from[i] = np.maximum.accumulate(np.where(best == leader, np.arange(len(best)), 0))
        best = leader + gain[i]
    states = np.zeros(n, np.int64)
    state = int(best.argmax()) if n else 0
    for i in range(n - 1, -1, -1):
        states[i] = state
        state = int(came_from[i, state])
    return np.where(states % 2 == 1, (states + 1) // 2, 0).astype(np.uint8)


def _distance_from_middle(presence: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 (n_slices, 7): slices from each level's middle, as a share of all slices."""
    index = np.arange(len(presence), dtype=np.float64)[:, None]
    weight = np.asarray(presence, np.float64).sum(axis=0)
    middle = (index * presence).sum(axis=0) / np.maximum(weight, 1e-9)
    return np.abs(index - middle) / max(len(presence), 1)


def _near_course(
    shape: tuple[int, ...], course: NDArray[np.float64], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """bool (z, y, x): within `SPINE_RADIUS_MM` of the spine's course in the slice."""
    _, row_mm, column_mm = spacing_mm
    y = (np.arange(shape[1]) - course[:, :1]) * row_mm
    x = (np.arange(shape[2]) - course[:, 1:]) * column_mm
    return np.asarray(y[:, :, None] ** 2 + x[:, None, :] ** 2 <= SPINE_RADIUS_MM**2)


def _largest_pieces(slabs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each slab's largest connected piece and those above a tenth of it; the rest is not spine."""
    kept = np.zeros_like(slabs)
    for level, box in enumerate(ndimage.find_objects(slabs), start=1):
        if box is None:
            continue
        found = ndimage.label(slabs[box] == level, structure=np.ones((3, 3, 3)))
        pieces, _ = cast(tuple[NDArray[np.int32], int], found)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        kept[box][(sizes >= sizes.max() / 10)[pieces] & (pieces > 0)] = level
    return kept
