"""The training loop over one epoch, for every task."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lightning_fabric import Fabric
from torch import nn

from core.errors import TrainingError
from core.training.batches import Batches, BatchKind
from core.training.state import TrainingState

GRADIENT_NORM_LIMIT: Final = 1.0
"""Default limit of the gradient's norm over all weights."""

AddGradients = Callable[[Fabric, nn.Module, BatchKind, int], tuple[float, int]]
"""Adds a batch's gradient to the weights', in the given number of parts or in more if memory is too
small; returns the loss of the batch and the number of parts used."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One training step.

    Attributes:
        step: Batches trained so far in the run.
        batch: Number of the batch within its epoch, from 1.
        loss: Loss of this batch.
        learning_rate: Learning rate of this step.
        images_per_second: Mean over the epoch so far.
        loader_wait_share: Share of the epoch's time so far spent waiting for batches.
    """

    step: int
    batch: int
    loss: float
    learning_rate: float
    images_per_second: float
    loader_wait_share: float


def train_one_epoch(
    fabric: Fabric,
    state: TrainingState,
    batches: Batches[BatchKind],
    add_gradients: AddGradients[BatchKind],
    *,
    on_step: Callable[[StepReport], bool],
    gradient_clip: float = GRADIENT_NORM_LIMIT,
) -> None:
    """Train on each batch once; several processes share every batch.

    Args:
        fabric: Device and precision.
        state: Model, optimizer and schedule, set up by `fabric`; its counters are updated.
        batches: Batches of the epoch.
        add_gradients: The task's loss and its gradient.
        on_step: Called after each step; returning True ends the epoch.
        gradient_clip: Largest norm of the gradient, beyond which it is scaled down; 0 for none.

    Raises:
        TrainingError: The loss or the gradient of a batch is not finite, or memory is too small for
            a single slice.
    """
    state.model.train()
    started, seen, parts = time.perf_counter(), 0, 1
    for number, batch in enumerate(batches, start=batches.first + 1):
        learning_rate = float(state.optimizer.param_groups[0]["lr"])
        on_device: BatchKind = fabric.to_device(batch)
        state.optimizer.zero_grad()
        value, parts = add_gradients(fabric, state.model, on_device, parts)
        _check_finite("loss", value, state, number)
        _check_finite("gradient", _descend(fabric, state, gradient_clip), state, number)
        state.step += 1
        state.batch = number
        seen += len(batch)
        elapsed = time.perf_counter() - started
        speed, waiting = seen / elapsed, batches.waited_s / elapsed
        if on_step(StepReport(state.step, number, value, learning_rate, speed, waiting)):
            return


def _check_finite(what: str, value: float, state: TrainingState, batch: int) -> None:
    if not math.isfinite(value):
        raise TrainingError(
            f"The {what} of batch {batch} in epoch {state.epoch + 1} (step {state.step + 1}) is "
            "not a finite number; lower `max_lr`, or set `precision: 32-true`. The checkpoint "
            "before it is kept."
        )


def _descend(fabric: Fabric, state: TrainingState, gradient_clip: float) -> float:
    """Clip the gradient, then step the optimizer and the schedule.

    With a gradient that is not finite the weights do not change.

    Returns:
        The gradient's norm before clipping; 0 with float16's scaler, which skips steps whose
        gradient is out of range.
    """
    norm = fabric.clip_gradients(
        state.model, state.optimizer, max_norm=gradient_clip or math.inf, error_if_nonfinite=False
    )
    length = 0.0 if norm is None else float(norm)
    scaled = getattr(state.precision, "scaler", None) is not None
    if not math.isfinite(length) and not scaled:
        return length
    state.optimizer.step()
    state.scheduler.step()
    return 0.0 if scaled else length
