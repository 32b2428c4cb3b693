"""The loop over one epoch, the same for every task."""

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
"""Of the gradient, over all weights, unless a run sets another."""

AddGradients = Callable[[Fabric, nn.Module, BatchKind, int], tuple[float, int]]
"""Adds a batch's gradient to the weights', in so many parts or more where memory does not take it
whole; returns the loss of the batch and the parts that it took."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One training step.

    Attributes:
        step: Batches trained so far, counted over the run.
        batch: Number of the batch within its epoch, from 1.
        loss: Of this batch.
        learning_rate: Used in this step.
        images_per_second: Over the epoch so far.
        loader_wait_share: Share of the epoch's time so far spent on making batches.
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
    """Learn from each batch once; several processes learn from their shares of it as one.

    Args:
        fabric: Device and precision.
        state: Model, optimizer and schedule, set up by `fabric`; its step is counted up.
        batches: The epoch.
        add_gradients: The task's loss and its gradient.
        on_step: Called after each step; returning True ends the epoch there.
        gradient_clip: Longest gradient that is followed as it is; 0 for any.

    Raises:
        TrainingError: The loss or the gradient of a batch is not finite, or the memory does not
            take a single slice.
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
    """Take one step down the clipped gradient at the weights, and one along the schedule.

    Returns:
        The gradient's norm before clipping; 0 where float16's scaler skips a step, as it does
        with a gradient beyond its range.

    A gradient that is not finite is not followed, so the weights stay as they are.
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
