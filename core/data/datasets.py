"""Labelled slices of many studies behind one index, and the order in which an epoch sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from core.data.cache import StudySlices

Task = Literal["vertebra", "fracture"]


def slice_fractured(study: StudySlices) -> NDArray[np.bool_] | None:
    """Tell which slices show a fracture: y_i = max_j y_j v_ij.

    Returns:
        bool (n,), or None where it cannot be known: an unlabelled study, or one with a fracture
        but no mask to say which slices show the fractured vertebra.
    """
    if study.fractured is None:
        return None
    if not study.fractured.any():
        return np.zeros(study.n_slices, dtype=bool)
    if study.presence is None:
        return None
    return np.any(study.presence & study.fractured, axis=1)


def slice_targets(study: StudySlices, task: Task) -> NDArray[np.float32] | None:
    """Truth per slice for a Type 1 model; None where the study's truth does not reach slices.

    Returns:
        float32 (n, 7) presence for "vertebra", float32 (n, 1) y_i for "fracture".
    """
    if task == "vertebra":
        return None if study.presence is None else study.presence.astype(np.float32)
    fractured = slice_fractured(study)
    return None if fractured is None else fractured.astype(np.float32)[:, np.newaxis]


class SliceDataset(Dataset[tuple[Tensor, Tensor]]):
    """All slices of the studies whose slice truth is known for a task.

    Slice k is counted through the studies in their given order. The pixels stay memory-mapped
    until a batch asks for them.

    Attributes:
        study_ids: The studies kept.
        skipped: The studies left out because their truth does not reach slices.
        targets: float32 (n_slices, n_outputs), read-only.
    """

    def __init__(self, studies: Sequence[StudySlices], task: Task) -> None:
        truth = [slice_targets(study, task) for study in studies]
        known = [(s, t) for s, t in zip(studies, truth, strict=True) if t is not None]
        self.study_ids = tuple(study.study_id for study, _ in known)
        self.skipped = tuple(s.study_id for s, t in zip(studies, truth, strict=True) if t is None)
        self._images = [study.images for study, _ in known]
        width = 7 if task == "vertebra" else 1
        empty = np.zeros((0, width), np.float32)
        self.targets = np.concatenate([empty, *(target for _, target in known)])
        self.targets.setflags(write=False)
        counts = [study.n_slices for study, _ in known]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Give one slice: uint8 (size, size) and float32 (n_outputs,).

        Raises:
            IndexError: `index` is not in 0..len-1.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"Slice {index} is not among the {len(self)} slices.")
        images, targets = self.batch(np.array([index]))
        return torch.from_numpy(images[0]), torch.from_numpy(targets[0])

    def batch(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Gather slices: uint8 (n, size, size) and float32 (n, n_outputs), both fresh arrays."""
        owners = np.searchsorted(self._starts, indices, side="right") - 1
        size = self._images[0].shape[-1]
        images = np.empty((len(indices), size, size), np.uint8)
        for row, (owner, index) in enumerate(zip(owners, indices, strict=True)):
            images[row] = self._images[owner][index - self._starts[owner]]
        return images, self.targets[indices]

    def training_order(
        self, *, seed: tuple[int, ...], slices_per_study: int = 0, balanced: bool = False
    ) -> NDArray[np.int64]:
        """Draw the slices of one epoch, shuffled; the same seed draws the same.

        Args:
            seed: The run's seed and the epoch, and whatever else shall tell draws apart.
            slices_per_study: At most so many slices a study (with `balanced`: of each class);
                0 means all.
            balanced: Draw as many positive as negative slices, a positive one having any target
                set.

        Returns:
            int64 indices; their number does not depend on the seed.
        """
        rng = np.random.default_rng(seed)
        positive = np.any(self.targets, axis=1)
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
