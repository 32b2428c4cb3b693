"""Batches of one epoch, and how long they kept the model waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.datasets import SliceDataset
from core.preprocessing.augmentation import augment_slices


@dataclass(slots=True)
class Batches:
    """Walk a data set in a given order, a batch at a time.

    Gathering memory-mapped uint8 slices takes about a hundredth of a training step, so batches
    are made in the training process itself, without workers.

    Attributes:
        dataset: The slices.
        order: int64 indices into it.
        batch_size: Slices a batch.
        augment_seed: Seed of the random changes; None leaves the slices as they are.
        drop_last: Leave out an incomplete last batch, unless it is the only one: batch norm
            cannot learn from a single slice and learns badly from a few.
        waited_s: Seconds spent so far on making batches.
    """

    dataset: SliceDataset
    order: NDArray[np.int64]
    batch_size: int
    augment_seed: tuple[int, ...] | None = None
    drop_last: bool = False
    waited_s: float = 0.0

    def __len__(self) -> int:
        """Number of batches."""
        whole, rest = divmod(len(self.order), self.batch_size)
        return whole + (rest > 0 and (whole == 0 or not self.drop_last))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 images (n, size, size) and float32 targets (n, outputs)."""
        rng = None if self.augment_seed is None else np.random.default_rng(self.augment_seed)
        for number in range(len(self)):
            started = time.perf_counter()
            start = number * self.batch_size
            images, targets = self.dataset.batch(self.order[start : start + self.batch_size])
            if rng is not None:
                images = augment_slices(images, rng)
            batch = torch.from_numpy(images), torch.from_numpy(targets)
            self.waited_s += time.perf_counter() - started
            yield batch
