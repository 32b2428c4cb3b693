"""Slices with boxes of many studies behind one index, and the order in which an epoch sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from torch import Tensor

from core.prepared.batch import TensorBatch
from core.prepared.box_slices import BoxSlices
from core.prepared.deferred_augmentation import deferred
from core.preprocessing.augmentation import (
    Augmentation,
    AugmentationRanges,
    apply_augmentation,
    draw_augmentation,
)
from core.preprocessing.box_geometry import clip_boxes, move_boxes
from core.preprocessing.network_input import stack_neighbours

RANGES: Final = AugmentationRanges(
    rotation_deg=4.0, shift=0.06, log_scale=0.1, hue_deg=0.0, log_saturation=0.0
)
"""Turned less than slices without boxes: the upright box around a turned one is too large."""
MIN_SIDE_PX: Final = 2.0
"""What is left of a box at the edge of the square counts from this on."""
NEAR_SLICES: Final = 1
"""Slices beside a boxed one show the fracture's end: neither a box nor its absence is true."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxBatch(TensorBatch):
    """Some slices and their boxes.

    Attributes:
        images: uint8 (n, s, s), or (n, 3, s, s) with neighbours.
        boxes: One float32 (k, 4) a slice, xyxy in pixels of the images; k may be 0.
        index: int64 (n,), position in the data set.
    """

    images: Tensor
    boxes: tuple[Tensor, ...]
    index: Tensor


class BoxDataset:
    """All slices of the studies of which it is known where they show a fracture.

    Slice k is counted through the studies in their given order.

    Args:
        studies: The studies, all of one size; those of unknown truth are left out.
        neighbours: Whether a slice comes with the one above and the one below as channels.

    Attributes:
        studies: Those kept.
        boxed: bool (n_slices,), whether the slice carries a box.
        usable: bool (n_slices,), False for slices beside a boxed one.
        presence: bool (n_slices,), whether a vertebra C1..C7 is in view; True where no mask tells.
    """

    def __init__(self, studies: Sequence[BoxSlices], *, neighbours: bool) -> None:
        self.studies = tuple(study for study in studies if study.is_known)
        self.neighbours = neighbours
        counts = np.array([study.n_slices for study in self.studies], dtype=np.int64)
        self._study_of = np.repeat(np.arange(len(counts)), counts)
        self._slice_of = np.concatenate([np.arange(n) for n in counts] or [np.empty(0, np.int64)])
        self.boxed = np.concatenate([_boxed(s) for s in self.studies] or [np.empty(0, bool)])
        near = [_near(_boxed(s)) for s in self.studies]
        self.usable = ~np.concatenate(near or [np.empty(0, bool)])
        self.presence = np.concatenate(
            [
                np.ones(s.n_slices, bool) if s.presence is None else s.presence.any(axis=1)
                for s in self.studies
            ]
            or [np.empty(0, bool)]
        )

    def __len__(self) -> int:
        """Number of slices."""
        return len(self._slice_of)

    @property
    def study_ids(self) -> tuple[str, ...]:
        """The studies kept."""
        return tuple(study.study_id for study in self.studies)

    @property
    def sides(self) -> NDArray[np.float64]:
        """Width and height of every box in pixels, float64 (n_boxes, 2)."""
        boxes = [box for study in self.studies for box in study.boxes.values()]
        found = np.concatenate(boxes or [np.empty((0, 4))])
        return found[:, 2:] - found[:, :2]

    def training_order(self, *, seed: tuple[int, ...], negatives: float) -> NDArray[np.int64]:
        """Shuffle every boxed slice with a drawn share of slices without a fracture.

        Negatives are drawn from slices that show a cervical vertebra, half of them from fractured
        studies where there are enough: there the same scanner, patient and vertebrae are in view.

        Args:
            seed: Of the draw.
            negatives: Slices without a box for each one with a box, >= 0.

        Returns:
            int64 (m,), indices into the data set.
        """
        rng = np.random.default_rng(seed)
        positive = np.flatnonzero(self.boxed)
        free = ~self.boxed & self.usable & self.presence
        of_boxed = np.array([bool(s.boxes) for s in self.studies], bool)[self._study_of]
        wanted = round(negatives * len(positive)) if len(positive) else int(free.sum())
        beside = _drawn(np.flatnonzero(free & of_boxed), wanted // 2, rng)
        intact = _drawn(np.flatnonzero(free & ~of_boxed), wanted - len(beside), rng)
        return rng.permutation(np.concatenate([positive, beside, intact]))

    def evaluation_order(self, *, seed: tuple[int, ...], negatives: float) -> NDArray[np.int64]:
        """The slices of `training_order`, by index."""
        return np.sort(self.training_order(seed=seed, negatives=negatives))

    def batch(
        self,
        rows: NDArray[np.int64],
        augment_seed: tuple[int, ...] | None = None,
        *,
        defer: bool = False,
    ) -> BoxBatch:
        """Collect some slices; with a seed each is changed by a draw of its own.

        What a slice is changed by depends on the seed and its index alone.

        Args:
            rows: int64 (n,), indices into the data set.
            augment_seed: Of the changes; None for none.
            defer: Leave the changes of the images to the move to another device.
        """
        images: list[NDArray[np.uint8]] = []
        boxes: list[Tensor] = []
        changes: list[Augmentation] = []
        for row in rows.tolist():
            image, found = self._slice(row)
            if augment_seed is not None:
                rng = np.random.default_rng((*augment_seed, row))
                change = draw_augmentation(rng, RANGES)
                changes.append(change)
                image = image if defer else apply_augmentation(image, change)
                found = move_boxes(found, change, image.shape[-2:])
            boxes.append(_kept(found, image.shape[-1]))
            images.append(image)
        batch = BoxBatch(
            torch.from_numpy(np.stack(images)), tuple(boxes), torch.from_numpy(rows.copy())
        )
        return deferred(batch, changes) if defer and changes else batch

    def _slice(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        study, index = self.studies[self._study_of[row]], int(self._slice_of[row])
        boxes = study.boxes.get(index, np.empty((0, 4)))
        if self.neighbours:
            return stack_neighbours(study.images, np.array([index]))[0], boxes
        return np.array(study.images[index]), boxes


@dataclass(frozen=True, slots=True, eq=False)
class AugmentedBoxes:
    """A data set of which every slice is changed, as `Batches` asks for batches.

    Attributes:
        dataset: The slices.
        seed: Of the changes; None leaves the slices as they are.
        deferred: Leave the changes of the images to the move to another device.
    """

    dataset: BoxDataset
    seed: tuple[int, ...] | None = None
    deferred: bool = False

    def batch(
        self, rows: NDArray[np.int64], changes: None = None, *, defer: bool = False
    ) -> BoxBatch:
        """Collect some slices."""
        del changes, defer
        return self.dataset.batch(rows, self.seed, defer=self.deferred)


def _boxed(study: BoxSlices) -> NDArray[np.bool_]:
    return np.isin(np.arange(study.n_slices), list(study.boxes))


def _near(boxed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    near = np.asarray(binary_dilation(boxed, iterations=NEAR_SLICES), dtype=np.bool_)
    return near & ~boxed


def _drawn(
    candidates: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    return rng.choice(candidates, min(count, len(candidates)), replace=False)


def _kept(boxes: NDArray[np.float64], size: int) -> Tensor:
    clipped = clip_boxes(boxes, size, size)
    large = (clipped[:, 2:] - clipped[:, :2] >= MIN_SIDE_PX).all(axis=1)
    return torch.from_numpy(clipped[large].astype(np.float32))
