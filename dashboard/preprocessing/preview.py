"""Truth and augmentations of a prepared slice, and the matching training settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.config import RunConfig, SlicePreparation
from core.dataset.true_boxes import boxes_on_volume
from core.preprocessing.augmentation import (
    Augmentation,
    AugmentationRanges,
    apply_augmentation,
    move_mask,
)
from core.preprocessing.box_geometry import move_boxes
from core.preprocessing.spine_field import SpineField
from core.preprocessing.steps import changes_nothing, place_box_xyxy, place_mask
from core.types import BoxXyxy, CTVolume, StudyRecord

NONE: Final = AugmentationRanges(0, 0, 0, 0, 0, 0, 0, 0)

STRENGTHS: Final[dict[str, tuple[str, str, str]]] = {
    "rotation": ("rotation_deg", "augment_rotation_deg", "Rotation up to (°)"),
    "flip": ("flip_probability", "augment_flip", "Flip probability"),
    "brightness": ("brightness", "augment_brightness", "Brightness up to (share of white)"),
    "contrast": ("log_contrast", "augment_contrast", "Contrast up to (log of the factor)"),
    "saturation": ("log_saturation", "augment_saturation", "Saturation up to (log of the factor)"),
    "hue": ("hue_deg", "augment_hue_deg", "Hue up to (°)"),
    "shift": ("shift", "augment_shift", "Shift up to (share of the side)"),
    "zoom": ("log_scale", "augment_zoom", "Zoom up to (log of the factor)"),
}
"""By name: field of `AugmentationRanges`, field of `RunConfig`, label with its unit."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceTruth:
    """Truth of one prepared slice.

    Attributes:
        boxes: xyxy in pixels of the slice.
        labels: uint8 (size, size), 1..7 for C1..C7; None where the study has no mask.
    """

    boxes: tuple[BoxXyxy, ...] = ()
    labels: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AugmentedSlice:
    """One augmentation of a prepared slice.

    Attributes:
        change: Drawn parameters.
        image: uint8, input of the network in training.
        truth: Truth of the slice, transformed with it.
    """

    change: Augmentation
    image: NDArray[np.uint8]
    truth: SliceTruth


def slice_truth(
    record: StudyRecord | None,
    mask: NDArray[np.uint8] | None,
    volume: CTVolume,
    index: int,
    preparation: SlicePreparation,
    spine: SpineField | None,
) -> SliceTruth:
    """Place the truth of one slice on the prepared slice.

    Args:
        record: The study's entry in the data set; None for a folder or an upload.
        mask: uint8 (z, y, x) labels on the grid of the volume; None where there is none.
        volume: Volume of the series.
        index: Index of the slice.
        preparation: Preparation of the slice.
        spine: From `core.preprocessing.spine_field.spine_field_of`.
    """
    found: list[BoxXyxy] = []
    if record is not None and record.boxes:
        shape = (volume.hu.shape[1], volume.hu.shape[2])
        found = [
            place_box_xyxy(box.xyxy, shape, index, preparation, spine)
            for box in boxes_on_volume(record.boxes, volume)
            if box.slice_index == index
        ]
    labels = None if mask is None else place_mask(mask[index], index, preparation, spine)
    return SliceTruth(tuple(found), labels)


def apply_draws(
    network: NDArray[np.uint8], truth: SliceTruth, changes: Sequence[Augmentation]
) -> list[AugmentedSlice]:
    """Apply each augmentation to a prepared slice and its truth."""
    shape = (network.shape[-2], network.shape[-1])
    boxes = np.array(truth.boxes, dtype=np.float64).reshape(-1, 4)
    return [
        AugmentedSlice(
            change=change,
            image=apply_augmentation(network, change),
            truth=SliceTruth(
                tuple(
                    (x0, y0, x1, y1) for x0, y0, x1, y1 in move_boxes(boxes, change, shape).tolist()
                ),
                None if truth.labels is None else move_mask(truth.labels, change),
            ),
        )
        for change in changes
    ]


def only(ranges: AugmentationRanges, name: str) -> AugmentationRanges:
    """The same ranges with all augmentations but one, of `STRENGTHS`, switched off."""
    field = STRENGTHS[name][0]
    return replace(NONE, **{field: getattr(ranges, field)})


def idle_changes(network: NDArray[np.uint8], ranges: AugmentationRanges) -> tuple[str, ...]:
    """Names of the augmentations that are switched on but change no byte of the slice."""
    strongest = {
        "rotation": Augmentation(rotation_deg=ranges.rotation_deg),
        "flip": Augmentation(flip=ranges.flip_probability > 0),
        "brightness": Augmentation(brightness=ranges.brightness),
        "contrast": Augmentation(contrast=float(np.exp(ranges.log_contrast))),
        "saturation": Augmentation(saturation=float(np.exp(ranges.log_saturation))),
        "hue": Augmentation(hue_deg=ranges.hue_deg),
    }
    return tuple(
        name
        for name, change in strongest.items()
        if getattr(ranges, STRENGTHS[name][0]) > 0 and changes_nothing(network, change)
    )


def describe_draw(change: Augmentation, names: Sequence[str]) -> str:
    """Describe the parameters of a draw, for the named augmentations only."""
    words = {
        "rotation": f"{change.rotation_deg:+.1f}°",
        "flip": "flipped" if change.flip else "not flipped",
        "brightness": f"brightness {100 * change.brightness:+.1f} %",
        "contrast": f"contrast × {change.contrast:.2f}",
        "saturation": f"saturation × {change.saturation:.2f}",
        "hue": f"hue {change.hue_deg:+.0f}°",
        "shift": f"shift {100 * change.shift_xy[0]:+.1f}, {100 * change.shift_xy[1]:+.1f} %",
        "zoom": f"zoom × {change.scale:.2f}",
    }
    return " · ".join(words[name] for name in STRENGTHS if name in names)


def training_values(
    preparation: SlicePreparation, ranges: AugmentationRanges | None = None, *, seed: int = 0
) -> dict[str, Any]:
    """Fields of the training form for a run that prepares slices in this way.

    Args:
        preparation: Preparation of the slices.
        ranges: Ranges of augmentation; None leaves out these fields and the seed.
        seed: Seed of the run.
    """
    values: dict[str, Any] = preparation.model_dump()
    if ranges is not None:
        strengths = {key: getattr(ranges, field) for field, key, _ in STRENGTHS.values()}
        values |= {"augment": True, "seed": seed} | strengths
    asked = RunConfig(task="fracture", data_root=Path(), **values).model_dump()
    return {key: asked[key] for key in values}
