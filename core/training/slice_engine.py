"""A slice network's loss on a batch, and its measures on held-out slices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from core.constants import VERTEBRAE
from core.models.dense import DenseOutputs
from core.prepared.slice_dataset import SliceBatch
from core.training.distributed import gather_rows
from core.training.epoch_scores import score_counts
from core.training.losses import Criterion
from core.training.micro_batches import in_parts, parts_of
from core.training.task import Measures

_OUTPUT_NAMES = {
    1: ("slice",),
    7: VERTEBRAE,
    14: tuple(f"{quantity}_{name}" for quantity in "fv" for name in VERTEBRAE),
}


@dataclass(frozen=True, slots=True)
class SliceMeasures(Measures):
    """Measures on held-out slices.

    Attributes:
        loss: Weighted mean over all slices.
        auc: ROC AUC over all outputs pooled; None if only one class occurs.
        auc_macro: Mean of the AUCs of single outputs, over those that have both classes.
        auc_by_output: AUC by vertebra, or {"slice": ...} for a single output, or f_C1..v_C7.
        slices: Number of slices.
        score_counts: Probabilities of all outputs, as `core.training.epoch_scores` counts them.
    """

    loss: float
    auc: float | None
    auc_macro: float | None
    auc_by_output: dict[str, float | None]
    slices: int
    score_counts: dict[str, list[int]]

    @property
    def deficit(self) -> float:
        """The loss."""
        return self.loss

    @property
    def curves(self) -> dict[str, float | None]:
        """Loss and AUC."""
        return {"loss": self.loss, "auc": self.auc}

    def __str__(self) -> str:
        """Loss and AUC in one clause."""
        return f"validation loss {self.loss:.4f}, AUC {self.auc}"


def add_slice_gradients(
    fabric: Fabric, model: nn.Module, batch: SliceBatch, parts: int, criterion: Criterion
) -> tuple[Tensor, int]:
    """As `engine.AddGradients`: the weighted cross-entropy of a slice network.

    Parts have the gradient of the whole batch, but batch normalisation sees smaller groups.

    Args:
        fabric: Device and precision.
        model: Set up by `fabric`.
        batch: On the device.
        parts: Number of parts to start with; 1 for the whole batch.
        criterion: The loss.

    Returns:
        Loss of the batch and number of parts used.

    Raises:
        TrainingError: As for `in_parts`.
    """

    def attempt(count: int) -> Tensor:
        # A weighted mean over parts or processes is not the mean of their means: each part is
        # divided by the weights of the whole batch. Gradients of processes are averaged afterwards.
        weights = _summed(fabric, _weights(criterion, batch))
        value = weights.new_zeros(())
        for number, part in enumerate(parts_of(len(batch), count), start=1):
            with fabric.no_backward_sync(cast(Any, model), enabled=number < count):
                loss = criterion.combine(_sums(model, criterion, batch, part), weights)
                fabric.backward(loss * fabric.world_size)
            value += loss.detach()
        return _summed(fabric, value)

    return in_parts(fabric, model, len(batch), parts, attempt)


def _weights(criterion: Criterion, batch: SliceBatch) -> Tensor:
    """The weights of the sums of a batch, which do not depend on the network's outputs."""
    unused = batch.presence.new_zeros((len(batch), criterion.outputs))
    weights = criterion.sums(unused, batch.presence, batch.fractured)[1]
    if criterion.map_loss is None:
        return weights
    of_maps = criterion.map_loss.weight(batch.images.shape[-1], batch.boxes, batch.fractured)
    return torch.cat([weights, of_maps[None]])


def _sums(model: nn.Module, criterion: Criterion, batch: SliceBatch, part: slice) -> Tensor:
    """Sums of the terms of the loss over a part of a batch, of maps where there are any."""
    inputs = (batch.images[part], batch.metadata[part], batch.presence[part])
    truth = (batch.presence[part], batch.fractured[part])
    if criterion.map_loss is None:
        return criterion.sums(model(*inputs), *truth)[0]
    outputs: DenseOutputs = model(*inputs, with_maps=True)
    totals = criterion.sums(outputs.logits, *truth)[0]
    of_maps = criterion.map_loss.sums(outputs.maps, batch.boxes[part], batch.fractured[part])[0]
    return torch.cat([totals, of_maps[None]])


def _summed(fabric: Fabric, value: Tensor) -> Tensor:
    if fabric.world_size == 1:
        return value
    return cast(Tensor, fabric.all_reduce(value.clone(), reduce_op="sum"))


class _BatchResult(NamedTuple):
    """Loss sums, logits and targets of one batch."""

    totals: Tensor
    weights: Tensor
    logits: NDArray[np.float32]
    targets: NDArray[np.float32]


@torch.inference_mode()
def measure_slices(
    fabric: Fabric,
    model: nn.Module,
    batches: Iterable[SliceBatch],
    on_batch: Callable[[], None] = lambda: None,
    *,
    criterion: Criterion,
) -> SliceMeasures:
    """Measure loss and AUC over all processes' batches; the model is left in eval mode.

    Args:
        fabric: Device and precision.
        model: The network itself, not as set up by `fabric`: processes have unequal numbers of
            batches, so that none may wait for another.
        batches: With at least one slice over all processes.
        on_batch: Called after each batch.
        criterion: The loss.
    """
    model.eval()
    seen: list[_BatchResult] = []
    for batch in batches:
        if not len(batch):
            continue
        on_device = batch.to(fabric.device, non_blocking=True)
        with fabric.autocast():
            logits = model(on_device.images, on_device.metadata, on_device.presence)
        truth = on_device.presence, on_device.fractured
        totals, weights = criterion.sums(logits, *truth)
        targets = criterion.targets(*truth)
        seen.append(
            _BatchResult(
                totals.cpu().double(),
                weights.cpu().double(),
                logits.float().cpu().numpy(),
                targets.cpu().numpy(),
            )
        )
        on_batch()
    gathered = gather_rows(fabric, seen)
    totals = torch.stack([part.totals for part in gathered]).sum(dim=0)
    weights = torch.stack([part.weights for part in gathered]).sum(dim=0)
    return _summary(
        criterion.combine(totals, weights).item(),
        np.concatenate([part.logits for part in gathered]),
        np.concatenate([part.targets for part in gathered]) > 0.5,
    )


def _summary(loss: float, logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> SliceMeasures:
    names = _OUTPUT_NAMES[truth.shape[1]]
    by_output = {name: _auc(truth[:, j], logits[:, j]) for j, name in enumerate(names)}
    defined = [auc for auc in by_output.values() if auc is not None]
    return SliceMeasures(
        loss=loss,
        auc=_auc(truth.ravel(), logits.ravel()),
        auc_macro=float(np.mean(defined)) if defined else None,
        auc_by_output=by_output,
        slices=len(truth),
        score_counts=score_counts(expit(logits), truth),
    )


def _auc(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> float | None:
    """Area under the ROC curve; None if it is undefined."""
    if truth.all() or not truth.any() or not np.isfinite(scores).all():
        return None
    return float(roc_auc_score(truth, scores))
