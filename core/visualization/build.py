"""A whole scene of one study, from its files to what a viewer needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.dataset.masks import load_vertebra_mask
from core.dataset.true_boxes import boxes_on_volume
from core.types import CTVolume, StudyRecord
from core.visualization.boxes import Box3D, join_boxes
from core.visualization.labels import labels_from_mask, labels_from_presence
from core.visualization.parts import PackedParts, build_parts, pack_parts
from core.visualization.scene import SceneLevel


def build_packed(
    volume: CTVolume,
    key: str,
    *,
    mask: Path | None = None,
    lines: Path | None = None,
    presence: NDArray[np.floating] | None = None,
) -> PackedParts:
    """Make and pack the surfaces of a study.

    Args:
        volume: The series.
        key: Name of the result.
        mask: Segmentation of the vertebrae; goes before `presence`.
        lines: Mask of the fracture voxels.
        presence: float (n_slices, 7), v_ij.

    Raises:
        DataRootError: A mask cannot be read or lies elsewhere.
    """
    if mask is not None:
        labels = labels_from_mask(load_vertebra_mask(mask, volume))
    elif presence is not None:
        labels = labels_from_presence(volume, presence)
    else:
        labels = labels_from_mask(np.zeros(volume.hu.shape, np.uint8))
    crossed = None if lines is None else load_vertebra_mask(lines, volume)
    return pack_parts(build_parts(volume, labels, crossed), key, volume)


def true_boxes(record: StudyRecord | None, volume: CTVolume) -> tuple[Box3D, ...]:
    """The boxes of the data set's table in the patient."""
    if record is None:
        return ()
    return join_boxes(boxes_on_volume(record.boxes, volume), volume)


def unjudged(colors: Mapping[str, str]) -> dict[str, SceneLevel]:
    """C1..C7 before any network has spoken."""
    return {name: SceneLevel(name, color) for name, color in colors.items()}
