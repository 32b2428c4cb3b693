"""The training loop over one epoch, for every task."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.errors import TrainingError
from core.training.batches import Batches, BatchKind
from core.training.state import TrainingState

GRADIENT_NORM_LIMIT: Final = 1.0
"""Default limit of the gradient's norm over all weights."""
SKIPPED_IN_A_ROW: Final = 3
"""So many batches whose gradient is not finite may be left out one after another.

One such batch is no fault of the weights: the norm of an image without any contrast divides by
almost nothing in every layer. Several are.
"""

AddGradients = Callable[[Fabric, nn.Module, BatchKind, int], tuple[Tensor, int]]
"""Adds a batch's gradient to the weights', in the given number of parts or in more if memory is too
small; returns the loss over all processes' slices, on the device, and the number of parts used."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """The training steps since the last report.

    Attributes:
        step: Batches trained so far in the run.
        batch: Number of the last batch within its epoch, from 1.
        losses: Losses of the batches since the last report.
        learning_rate: Learning rate of the last step; the highest if parts of the network differ.
        images_per_second: Mean over the epoch so far.
        loader_wait_share: Share of the epoch's time so far spent waiting for batches.
        skipped: Batches of the epoch so far that were left out, as their gradient was not finite.
    """

    step: int
    batch: int
    losses: tuple[float, ...]
    learning_rate: float
    images_per_second: float
    loader_wait_share: float
    skipped: int = 0


_log = logging.getLogger("core.training")


class _Unread(NamedTuple):
    """Loss and gradient norm of a batch, still on the device."""

    batch: int
    loss: Tensor
    norm: Tensor


@dataclass(slots=True)
class _Skips:
    """Batches of an epoch that are left out, if any may be."""

    allowed: bool
    count: int = 0
    in_a_row: int = 0

    def takes(self, result: _Unread, step: int) -> bool:
        """Whether a batch is left out; waits for the device."""
        if not self.allowed:
            return False
        loss, norm = float(result.loss), float(result.norm)
        lost = math.isfinite(loss) and not math.isfinite(norm)
        self.in_a_row = self.in_a_row + 1 if lost else 0
        if not lost or self.in_a_row > SKIPPED_IN_A_ROW:
            return False
        self.count += 1
        _log.warning(
            "Step %d is skipped: the gradient of a loss of %.3f is not a finite number.", step, loss
        )
        return True


def train_one_epoch(
    fabric: Fabric,
    state: TrainingState,
    batches: Batches[BatchKind],
    add_gradients: AddGradients[BatchKind],
    *,
    on_step: Callable[[StepReport], bool],
    gradient_clip: float = GRADIENT_NORM_LIMIT,
    parts: int = 1,
    read_every: int = 1,
) -> None:
    """Train on each batch once; several processes share every batch.

    A loss is read from the device only at the run's first step, every `read_every` steps, at the
    end of the epoch, and where early stopping decides: reading makes the processor wait for all
    work on a GPU. Where every loss is read, a batch whose loss is finite but whose gradient is not
    leaves the weights as they are, up to `SKIPPED_IN_A_ROW` times one after another.

    Args:
        fabric: Device and precision.
        state: Model, optimizer and schedule, set up by `fabric`; its counters are updated.
        batches: Batches of the epoch.
        add_gradients: The task's loss and its gradient.
        on_step: Called whenever losses were read; returning True ends the epoch.
        gradient_clip: Largest norm of the gradient, beyond which it is scaled down; 0 for none.
        parts: Parts in which a batch passes through the network.
        read_every: Steps between two readings of the loss.

    Raises:
        TrainingError: The loss or the gradient of a batch is not finite, or memory is too small for
            a single slice.
    """
    state.model.train()
    started, seen, skips = time.perf_counter(), 0, _Skips(read_every == 1)
    unread: list[_Unread] = []
    for number, batch in enumerate(batches, start=batches.first + 1):
        learning_rate = max(float(group["lr"]) for group in state.optimizer.param_groups)
        on_device = batch.to(fabric.device, non_blocking=True)
        state.optimizer.zero_grad()
        loss, parts = add_gradients(fabric, state.model, on_device, parts)
        result = _Unread(number, loss, _clipped(fabric, state, gradient_clip, loss))
        skipped = skips.takes(result, state.step + 1)
        unread.append(result._replace(norm=torch.zeros_like(loss)) if skipped else result)
        is_edge = state.step == 0 or number == batches.total
        reads = is_edge or (state.step + 1) % read_every == 0
        if reads or state.decides_after(len(unread)):
            losses = _read(unread, state)
            unread.clear()
        else:
            losses = ()
        state.descend(skipped=skipped)
        state.batch = number
        seen += len(batch)
        elapsed = time.perf_counter() - started
        speed, waiting = seen / elapsed, batches.waited_s / elapsed
        report = StepReport(state.step, number, losses, learning_rate, speed, waiting, skips.count)
        if losses and on_step(report):
            return


def _read(unread: Sequence[_Unread], state: TrainingState) -> tuple[float, ...]:
    """Wait for the device and read the losses; the weights have not yet changed by the last batch.

    Raises:
        TrainingError: A loss or a gradient is not finite.
    """
    values = torch.stack([torch.stack((one.loss, one.norm)) for one in unread]).tolist()
    for behind, (one, found) in enumerate(zip(unread, values, strict=True), 1 - len(unread)):
        for what, value in zip(("loss", "gradient"), found, strict=True):
            if not math.isfinite(value):
                raise TrainingError(
                    f"The {what} of batch {one.batch} in epoch {state.epoch + 1} (step "
                    f"{state.step + 1 + behind}) is not a finite number; lower `max_lr`, or set "
                    "`precision: 32-true`. The checkpoint before it is kept."
                )
    return tuple(loss for loss, _ in values)


def _clipped(fabric: Fabric, state: TrainingState, gradient_clip: float, loss: Tensor) -> Tensor:
    """Clip the gradient; return its norm before clipping, a scalar like `loss`.

    It is 0 with float16's scaler, which skips steps whose gradient is out of range.
    """
    norm = fabric.clip_gradients(
        state.model, state.optimizer, max_norm=gradient_clip or math.inf, error_if_nonfinite=False
    )
    scaled = getattr(state.precision, "scaler", None) is not None
    return torch.zeros_like(loss) if norm is None or scaled else norm.to(loss)
