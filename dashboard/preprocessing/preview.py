"""What the Preprocessing page shows of a slice: its truth, its changes, and a run that does so."""

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
    move_box_xyxy,
    move_mask,
)
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
    """What is known of one prepared slice.

    Attributes:
        boxes: xyxy in its pixels.
        labels: uint8 (size, size), 1..7 for C1..C7; None where the study has no mask.
    """

    boxes: tuple[BoxXyxy, ...] = ()
    labels: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AugmentedSlice:
    """One random change of a prepared slice.

    Attributes:
        change: The numbers drawn.
        image: uint8, what training would feed the network.
        truth: What is known of the slice, moved with it.
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
        volume: The series.
        index: The slice.
        preparation: How it is prepared.
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
    """Change a prepared slice and its truth by each of some draws."""
    shape = (network.shape[-2], network.shape[-1])
    return [
        AugmentedSlice(
            change=change,
            image=apply_augmentation(network, change),
            truth=SliceTruth(
                tuple(move_box_xyxy(box, change, shape) for box in truth.boxes),
                None if truth.labels is None else move_mask(truth.labels, change),
            ),
        )
        for change in changes
    ]


def only(ranges: AugmentationRanges, name: str) -> AugmentationRanges:
    """The same ranges with every change but one, of `STRENGTHS`, switched off."""
    field = STRENGTHS[name][0]
    return replace(NONE, **{field: getattr(ranges, field)})


def idle_changes(network: NDArray[np.uint8], ranges: AugmentationRanges) -> tuple[str, ...]:
    """Name the changes that are switched on and yet leave every byte of the slice as it is."""
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


def said(change: Augmentation, names: Sequence[str]) -> str:
    """Say the numbers of a draw, of the named changes only."""
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
    """The fields of the training form that make a run prepare slices just so.

    Args:
        preparation: How slices are prepared.
        ranges: How far they are changed; None leaves those fields, and the seed, out.
        seed: Seed of the run.
    """
    values: dict[str, Any] = preparation.model_dump()
    if ranges is not None:
        strengths = {key: getattr(ranges, field) for field, key, _ in STRENGTHS.values()}
        values |= {"augment": True, "seed": seed} | strengths
    asked = RunConfig(task="fracture", data_root=Path(), **values).model_dump()
    return {key: asked[key] for key in values}
