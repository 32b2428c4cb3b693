"""The two loops: learn from one epoch, and measure on held-out slices."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from core.constants import VERTEBRAE
from core.errors import TrainingError
from core.training.batches import Batches
from core.training.losses import WeightedBCE
from core.training.state import TrainingState

GRADIENT_NORM_LIMIT = 1.0


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


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures on held-out slices.

    Attributes:
        loss: Weighted mean over all slices.
        auc: ROC AUC over all outputs pooled; None where only one class occurs.
        auc_macro: Mean of the outputs' own AUCs, over those that have both classes.
        auc_by_output: By vertebra, or {"slice": ...} for a single output.
        slices: Number of slices.
    """

    loss: float
    auc: float | None
    auc_macro: float | None
    auc_by_output: dict[str, float | None]
    slices: int


def train_one_epoch(
    fabric: Fabric,
    state: TrainingState,
    batches: Batches,
    criterion: WeightedBCE,
    *,
    on_step: Callable[[StepReport], bool],
) -> None:
    """Learn from each batch once.

    Args:
        fabric: Device and precision.
        state: Model, optimizer and schedule, set up by `fabric`; its step is counted up.
        batches: The epoch.
        criterion: The loss.
        on_step: Called after each step; returning True ends the epoch there.

    Raises:
        TrainingError: The loss of a batch is not finite.
    """
    state.model.train()
    started, seen = time.perf_counter(), 0
    for number, (images, targets) in enumerate(batches, start=1):
        learning_rate = float(state.optimizer.param_groups[0]["lr"])
        logits = state.model(fabric.to_device(images))
        loss = criterion(logits, fabric.to_device(targets))
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"The loss of batch {number} in epoch {state.epoch + 1} (step {state.step + 1}) is "
                "not a finite number; lower `max_lr`, or set `precision: 32-true`."
            )
        _update(fabric, state, loss)
        state.step += 1
        seen += len(images)
        elapsed = time.perf_counter() - started
        speed, waiting = seen / elapsed, batches.waited_s / elapsed
        if on_step(StepReport(state.step, number, value, learning_rate, speed, waiting)):
            return


def _update(fabric: Fabric, state: TrainingState, loss: Tensor) -> None:
    """Take one step down the clipped gradient, and one along the schedule."""
    state.optimizer.zero_grad()
    fabric.backward(loss)
    fabric.clip_gradients(
        state.model, state.optimizer, max_norm=GRADIENT_NORM_LIMIT, error_if_nonfinite=False
    )
    state.optimizer.step()
    state.scheduler.step()


@torch.inference_mode()
def evaluate(
    fabric: Fabric,
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    criterion: WeightedBCE,
) -> Evaluation:
    """Measure loss and AUC; the model is left in eval mode.

    Args:
        fabric: Device and precision.
        model: Set up by `fabric`.
        batches: uint8 images (n, s, s) and float32 targets (n, outputs); at least one.
        criterion: The loss.
    """
    model.eval()
    loss_sum = weight_sum = 0.0
    logits_seen: list[NDArray[np.float32]] = []
    targets_seen: list[NDArray[np.float32]] = []
    for images, targets in batches:
        on_device = fabric.to_device(targets)
        logits = model(fabric.to_device(images))
        batch_loss, batch_weight = criterion.sums(logits, on_device)
        loss_sum += batch_loss.item()
        weight_sum += batch_weight.item()
        logits_seen.append(logits.float().cpu().numpy())
        targets_seen.append(targets.numpy())
    return _summary(
        loss_sum / weight_sum, np.concatenate(logits_seen), np.concatenate(targets_seen) > 0.5
    )


def _summary(loss: float, logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> Evaluation:
    names = VERTEBRAE if truth.shape[1] == len(VERTEBRAE) else ("slice",)
    by_output = {name: _auc(truth[:, j], logits[:, j]) for j, name in enumerate(names)}
    defined = [auc for auc in by_output.values() if auc is not None]
    return Evaluation(
        loss=loss,
        auc=_auc(truth.ravel(), logits.ravel()),
        auc_macro=float(np.mean(defined)) if defined else None,
        auc_by_output=by_output,
        slices=len(truth),
    )


def _auc(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> float | None:
    """Area under the ROC curve; None where it is not defined."""
    if truth.all() or not truth.any() or not np.isfinite(scores).all():
        return None
    return float(roc_auc_score(truth, scores))
