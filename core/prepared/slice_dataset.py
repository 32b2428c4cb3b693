"""Labelled slices of many studies behind one index, and the order in which an epoch sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.constants import N_VERTEBRAE, ChannelMode, FractureTarget
from core.prepared.batch import TensorBatch
from core.prepared.slices import StudySlices
from core.preprocessing.augmentation import Augmentation, apply_augmentations
from core.preprocessing.box_geometry import clip_boxes, move_boxes
from core.preprocessing.metadata import N_METADATA, slice_metadata
from core.preprocessing.network_input import N_CHANNELS, stack_neighbours

_NO_BOXES: Final = np.zeros((0, 4))
Task = Literal["vertebra", "fracture"]
Presences = Mapping[str, NDArray[np.float32]]
"""By study id: v_ij in [0, 1], float32 (n, 7)."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceBatch(TensorBatch):
    """Some slices with all that any model or loss asks of them; tensors whose first axis is n.

    Attributes:
        images: uint8 (n, s, s) for "grey", (n, 3, s, s) for "windows" and "neighbours".
        metadata: float32 (n, 3), from `slice_metadata`.
        presence: float32 (n, 7), v_ij in [0, 1]; 0 where unknown.
        fractured: float32 (n, 7), y_ij = y_j v_ij; 0 where unknown.
        index: int64 (n,), position in the data set.
        boxes: One float32 (k, 4) per slice, xyxy as fractions of the image's sides; k is 0 where
            there is none, or where the studies came without.
    """

    images: Tensor
    metadata: Tensor
    presence: Tensor
    fractured: Tensor
    index: Tensor
    boxes: tuple[Tensor, ...]


def fractured_by_vertebra(
    study: StudySlices,
    presence: NDArray[np.float32] | None,
    target: FractureTarget = "vertebra",
) -> NDArray[np.float32] | None:
    """Tell what each slice shows of the fractures: y_ij = y_j v_ij, or y_j v_ij b_i for "line".

    b_i is whether a box lies on slice i. A box carries no vertebra: where two fractured vertebrae
    share a boxed slice, both count.

    Args:
        study: The study.
        presence: v_ij in [0, 1], float32 (n, 7); None where unknown.
        target: What makes a slice positive.

    Returns:
        float32 (n, 7), or None where it cannot be known: an unlabelled study, or one with a
        fracture but nothing to say which slices show the fractured vertebra, or its line.
    """
    if study.fractured is None:
        return None
    if presence is not None and target == "vertebra":
        return presence * study.fractured.astype(np.float32)
    if presence is not None and study.boxed is not None:
        on_line = study.fractured * study.boxed[:, np.newaxis]
        return presence * on_line.astype(np.float32)
    return None if study.fractured.any() else _zeros(study)


class SliceDataset:
    """All slices of the studies whose slice truth is known for a task.

    Slice k is counted through the studies in their given order. The pixels stay memory-mapped
    until a batch asks for them.

    Args:
        studies: The studies, all prepared alike.
        task: "vertebra" needs presences, "fracture" needs y_ij.
        presence_of: v_ij, float32 (n, 7), for studies without a mask, by study id.
        needs_presence: Leave out fracture studies without presences too. Without it, an intact
            study needs none: its slices show no fracture whatever they show.
        target: What makes a slice of a fractured vertebra positive.

    Attributes:
        study_ids: The studies kept.
        skipped: The studies left out because their truth does not reach slices.
        channels: What the three channels hold.
        presence: float32 (n_slices, 7), read-only, as in `SliceBatch`.
        fractured: float32 (n_slices, 7), read-only, as in `SliceBatch`.
        targets: float32 (n_slices, n_outputs), read-only: v_ij for "vertebra", max_j y_ij for
            "fracture".

    Raises:
        ValueError: The studies differ in channel mode or size, or presences do not fit a study.
    """

    def __init__(
        self,
        studies: Sequence[StudySlices],
        task: Task,
        *,
        presence_of: Presences | None = None,
        needs_presence: bool = False,
        target: FractureTarget = "vertebra",
    ) -> None:
        known: list[StudySlices] = []
        skipped: list[str] = []
        presence, fractured = [_no_rows(N_VERTEBRAE)], [_no_rows(N_VERTEBRAE)]
        for study in studies:
            v = _presence(study, presence_of or {})
            y = fractured_by_vertebra(study, v, target)
            lacks_presence = v is None and (task == "vertebra" or needs_presence)
            if lacks_presence or (y is None and task == "fracture"):
                skipped.append(study.study_id)
                continue
            known.append(study)
            presence.append(_zeros(study) if v is None else v)
            fractured.append(_zeros(study) if y is None else y)
        self.study_ids = tuple(study.study_id for study in known)
        self.skipped = tuple(skipped)
        self.channels = _common_channels(known)
        self._images = [np.asarray(study.images) for study in known]
        self.presence = np.concatenate(presence)
        self.fractured = np.concatenate(fractured)
        self._metadata = np.concatenate(
            [_no_rows(N_METADATA), *(slice_metadata(s.z_mm, s.thickness_mm) for s in known)]
        )
        self.targets = (
            self.presence if task == "vertebra" else self.fractured.max(axis=1, keepdims=True)
        )
        for truth in (self.presence, self.fractured, self.targets):
            truth.setflags(write=False)
        counts = [study.n_slices for study in known]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._boxes = {
            int(start) + index: found
            for start, study in zip(self._starts[:-1], known, strict=True)
            for index, found in study.boxes.items()
        }

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.targets)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Slices with any target of at least one half, bool (n_slices,)."""
        return np.any(self.targets >= 0.5, axis=1)

    def batch(
        self,
        indices: NDArray[np.int64],
        changes: Sequence[Augmentation] | None = None,
        *,
        defer: bool = False,
    ) -> SliceBatch:
        """Gather slices into fresh tensors.

        Args:
            indices: int64 (n,).
            changes: One per slice, applied to the gathered images and their boxes; None for none.
            defer: Whether the images are changed later, on the device, and only boxes here.
        """
        images = self._gather(indices)
        if changes is not None and not defer:
            images = apply_augmentations(images, changes)
        boxes = [self._boxes.get(index, _NO_BOXES) for index in indices.tolist()]
        if changes is not None:
            size = images.shape[-1]
            boxes = [_moved(one, change, size) for one, change in zip(boxes, changes, strict=True)]
        return SliceBatch(
            images=torch.from_numpy(images),
            metadata=torch.from_numpy(self._metadata[indices]),
            presence=torch.from_numpy(self.presence[indices]),
            fractured=torch.from_numpy(self.fractured[indices]),
            index=torch.from_numpy(np.array(indices, np.int64)),
            boxes=tuple(torch.from_numpy(one.astype(np.float32)) for one in boxes),
        )

    def _gather(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        owners = np.searchsorted(self._starts, indices, side="right") - 1
        inside = indices - self._starts[owners]
        size = self._images[0].shape[-1] if self._images else 0
        shape = (size, size) if self.channels == "grey" else (N_CHANNELS, size, size)
        images = np.empty((len(indices), *shape), np.uint8)
        for row, (owner, index) in enumerate(zip(owners, inside, strict=True)):
            study = self._images[owner]
            if self.channels == "neighbours":
                images[row] = stack_neighbours(study, np.array([index]))[0]
            else:
                images[row] = study[index]
        return images

    def training_order(
        self, *, seed: tuple[int, ...], slices_per_study: int = 0, balanced: bool = False
    ) -> NDArray[np.int64]:
        """Draw the slices of one epoch, shuffled; the same seed draws the same.

        Args:
            seed: The run's seed and the epoch, and whatever else shall tell draws apart.
            slices_per_study: At most so many slices a study (with `balanced`: of each class);
                0 means all.
            balanced: Draw as many positive as negative slices, a positive one having any target
                of at least one half.

        Returns:
            int64 indices; their number does not depend on the seed.
        """
        rng = np.random.default_rng(seed)
        positive = self.positive
        groups = [positive, ~positive] if balanced else [np.ones(len(self), dtype=bool)]
        drawn = [self._draw(group, slices_per_study, rng) for group in groups]
        smallest = min(len(indices) for indices in drawn)
        return rng.permutation(
            np.concatenate([rng.permutation(indices)[:smallest] for indices in drawn])
        )

    def evaluation_order(self, *, slices_per_study: int = 0) -> NDArray[np.int64]:
        """Choose at most `slices_per_study` evenly spaced slices of each study (0: all)."""
        chosen = [np.zeros(0, np.int64)]
        for start, end in zip(self._starts[:-1], self._starts[1:], strict=True):
            count = end - start
            if 0 < slices_per_study < count:
                chosen.append(start + np.arange(slices_per_study) * count // slices_per_study)
            else:
                chosen.append(np.arange(start, end))
        return np.concatenate(chosen)

    def _draw(
        self, among: NDArray[np.bool_], limit: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Indices where `among` is set, at most `limit` a study, drawn without replacement."""
        drawn = [np.zeros(0, np.int64)]
        for start, end in zip(self._starts[:-1], self._starts[1:], strict=True):
            candidates = start + np.flatnonzero(among[start:end])
            if 0 < limit < len(candidates):
                candidates = rng.choice(candidates, limit, replace=False)
            drawn.append(candidates)
        return np.concatenate(drawn)


def _moved(boxes: NDArray[np.float64], change: Augmentation, size: int) -> NDArray[np.float64]:
    """Boxes in fractions of the sides after a change, cut at the edge, without those outside."""
    if not len(boxes):
        return boxes
    moved = clip_boxes(move_boxes(boxes * size, change, (size, size)), size, size) / size
    return moved[(moved[:, 2:] > moved[:, :2]).all(axis=1)]


def _no_rows(columns: int) -> NDArray[np.float32]:
    return np.zeros((0, columns), np.float32)


def _zeros(study: StudySlices) -> NDArray[np.float32]:
    return np.zeros((study.n_slices, N_VERTEBRAE), np.float32)


def _presence(study: StudySlices, presence_of: Presences) -> NDArray[np.float32] | None:
    """v_ij of a study, float32 (n, 7): of its mask, else what is given for it."""
    if study.presence is not None:
        return study.presence.astype(np.float32)
    given = presence_of.get(study.study_id)
    if given is None:
        return None
    fits = given.shape == (study.n_slices, N_VERTEBRAE)
    if not fits or not bool(np.all((given >= 0) & (given <= 1))):
        raise ValueError(
            f"The presences of study {study.study_id} must be {study.n_slices} rows of seven "
            f"probabilities, but have shape {given.shape} or values outside [0, 1]."
        )
    return given.astype(np.float32)


def _common_channels(studies: Sequence[StudySlices]) -> ChannelMode:
    if not studies:
        return "grey"
    first = studies[0]
    form = (first.channels, first.images.shape[1:])
    if any((study.channels, study.images.shape[1:]) != form for study in studies):
        raise ValueError("Studies of one data set must be prepared alike, in channels and size.")
    return first.channels
