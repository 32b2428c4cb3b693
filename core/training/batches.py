"""Batches of one epoch, loaded in advance, and the time spent waiting for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.prepared.batch import TensorBatch
from core.prepared.deferred_augmentation import deferred
from core.preprocessing.augmentation import AugmentationRanges, draws_of_batch

BATCHES_AHEAD: Final = 2
"""Batches in preparation or ready, per worker."""


BatchKind = TypeVar("BatchKind", bound=TensorBatch)
BatchKindCo = TypeVar("BatchKindCo", bound=TensorBatch, covariant=True)


class BatchSource(Protocol[BatchKindCo]):
    """A data set that collects slices by index and changes each as drawn."""

    def batch(
        self,
        rows: NDArray[np.int64],
        changes: Any = None,  # noqa: ANN401
        /,
        *,
        defer: bool = False,
    ) -> BatchKindCo:
        """Collect some slices; with `defer`, their pixels are changed later."""
        ...


@dataclass(slots=True)
class Batches(Generic[BatchKind]):
    """Iterate over a data set in a given order, one batch at a time.

    The content of a batch depends only on the order, the seed and its number: not on the number of
    workers, the first batch, or the number of processes.

    The workers are threads. Copying memory-mapped slices and warping them release the interpreter
    lock, and threads share the maps, start at once and end with the run.

    Attributes:
        dataset: The slices.
        order: int64 indices into the data set.
        batch_size: Slices per batch, over all processes.
        augment_seed: Seed of the augmentations; None for none.
        augment_ranges: Ranges of the augmentations; None for the default ones.
        augment_on_device: Leave the augmentation to the move to the network's device.
        drop_last: Leave out an incomplete last batch, unless it is the only one: batch norm
            cannot train on a single slice, and poorly on a few.
        workers: Threads that prepare batches in advance; 0 prepares each on request.
        first: Number of the first batch to yield, counted from 0.
        shard: (rank, world): rank of this process and number of processes that share every batch.
            Rank r takes slices r, r + world, ... of a batch; in an incomplete last batch a rank may
            have one slice less than another, or none.
        pin_memory: Put batches into page-locked memory, for a GPU.
        waited_s: Seconds spent waiting for batches so far.

    Raises:
        ValueError: `first`, `shard`, `workers` or `batch_size` is out of range.
    """

    dataset: BatchSource[BatchKind]
    order: NDArray[np.int64]
    batch_size: int
    augment_seed: tuple[int, ...] | None = None
    augment_ranges: AugmentationRanges | None = None
    augment_on_device: bool = False
    drop_last: bool = False
    workers: int = 0
    first: int = 0
    shard: tuple[int, int] = (0, 1)
    pin_memory: bool = False
    waited_s: float = 0.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        rank, world = self.shard
        if not 0 <= rank < world:
            raise ValueError(f"Rank {rank} is not among {world} processes.")
        if self.batch_size < world:
            raise ValueError(
                f"A batch of {self.batch_size} slices cannot be shared by {world} processes."
            )
        if self.workers < 0:
            raise ValueError(f"Batches need 0 workers or more, not {self.workers}.")
        if not 0 <= self.first <= self.total:
            raise ValueError(f"Batch {self.first} is not one of {self.total} batches.")

    @property
    def total(self) -> int:
        """Number of batches of the whole epoch."""
        whole, rest = divmod(len(self.order), self.batch_size)
        return whole + (rest > 0 and (whole == 0 or not self.drop_last))

    def __len__(self) -> int:
        """Number of batches from `first` on."""
        return self.total - self.first

    def __iter__(self) -> Iterator[BatchKind]:
        """Yield the batches from `first` on, this process's share of each."""
        numbers = range(self.first, self.total)
        if self.workers > 0:
            yield from self._prefetched(numbers)
            return
        for number in numbers:
            started = time.perf_counter()
            batch = self._make(number)
            self.waited_s += time.perf_counter() - started
            yield batch

    def _prefetched(self, numbers: range) -> Iterator[BatchKind]:
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="batches")
        pending: deque[Future[BatchKind]] = deque()
        upcoming = iter(numbers)
        try:
            for _ in numbers:
                while len(pending) < self.workers * BATCHES_AHEAD:
                    number = next(upcoming, None)
                    if number is None:
                        break
                    pending.append(pool.submit(self._make, number))
                started = time.perf_counter()
                batch = pending.popleft().result()
                self.waited_s += time.perf_counter() - started
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)

    def _make(self, number: int) -> BatchKind:
        rows = self.order[number * self.batch_size : (number + 1) * self.batch_size]
        rank, world = self.shard
        draws = None
        if self.augment_seed is not None:
            # Drawn for the whole batch, so that a slice is augmented alike in every process.
            drawn = draws_of_batch(self.augment_seed, number, len(rows), self.augment_ranges)
            draws = drawn[rank::world]
        batch = self.dataset.batch(rows[rank::world], draws, defer=self.augment_on_device)
        if draws and self.augment_on_device:
            batch = deferred(batch, draws)
        return batch.pin_memory() if self.pin_memory else batch
