"""A segmenter's loss on a batch, and its measures on held-out studies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.constants import VERTEBRAE
from core.models.segmenter import N_CLASSES
from core.prepared.grid_dataset import NO_LABEL, GridBatch
from core.preprocessing.label_overlap import overlap_of
from core.training.distributed import gather_rows
from core.training.micro_batches import in_parts, parts_of
from core.training.task import Measures

BACKGROUND_WEIGHT: Final = 0.3
"""Of a background voxel in the cross-entropy; nineteen of twenty voxels are background."""
CLASS_NAMES: Final = (*VERTEBRAE, "other vertebra")


@dataclass(frozen=True, slots=True)
class GridMeasures(Measures):
    """Measures on held-out studies, before any decoding.

    Attributes:
        dice: Mean Dice coefficient over the studies' C1..C7.
        dice_by_class: Mean over the studies that show it, None where none does.
        right_level: Share of C1..C7 of which most voxels have the right label.
        studies: Number of studies.
    """

    dice: float
    dice_by_class: dict[str, float | None]
    right_level: float
    studies: int

    @property
    def deficit(self) -> float:
        """What the mean Dice coefficient lacks of 1."""
        return 1.0 - self.dice

    @property
    def curves(self) -> dict[str, float | None]:
        """Dice coefficient and share of right levels."""
        return {"dice": self.dice, "right_level": self.right_level}

    def __str__(self) -> str:
        """Both figures in one clause."""
        return f"mean Dice {self.dice:.3f}, {self.right_level:.1%} of vertebrae at the right level"


def grid_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice loss (Milletari et al. 2016), a scalar.

    The Dice loss is the mean over the vertebrae that the batch shows: one that it does not show has
    no overlap to raise, and the cross-entropy keeps the others from its label.

    Args:
        logits: float (n, 9, z, y, x).
        labels: uint8 (n, z, y, x), 0..8; `NO_LABEL` does not count.
    """
    known = labels != NO_LABEL
    truth = labels.long().masked_fill(~known, 0)
    log_probs = functional.log_softmax(logits.float(), dim=1)
    own = log_probs.gather(1, truth.unsqueeze(1)).squeeze(1)
    weights = torch.where(truth == 0, BACKGROUND_WEIGHT, 1.0) * known
    entropy = -(own * weights).sum() / weights.sum()
    # One-hot labels would take as much memory as the logits and more time than the network.
    counts = torch.bincount(truth[known], minlength=N_CLASSES)
    both = own.new_zeros(N_CLASSES).index_add(0, truth[known], own[known].exp())
    sums = (log_probs.exp() * known.unsqueeze(1)).sum(dim=(0, 2, 3, 4)) + counts
    dice, shown = 2.0 * both[1:] / sums[1:].clamp(min=1e-6), counts[1:] > 0
    lack = ((1.0 - dice) * shown).sum() / shown.sum().clamp(min=1)
    return entropy + lack


def add_grid_gradients(
    fabric: Fabric, model: nn.Module, batch: GridBatch, parts: int
) -> tuple[Tensor, int]:
    """As `engine.AddGradients`: `grid_loss` of each part, weighted by its share of the studies.

    Args:
        fabric: Device and precision.
        model: A segmenter, set up by `fabric`.
        batch: On the device.
        parts: Number of parts to start with; 1 for the whole batch.

    Returns:
        Loss of the batch and number of parts used.

    Raises:
        TrainingError: As for `in_parts`.
    """

    def attempt(count: int) -> Tensor:
        value = torch.zeros((), device=fabric.device)
        for number, part in enumerate(parts_of(len(batch), count), start=1):
            images, labels = batch.images[part], batch.labels[part]
            with fabric.no_backward_sync(cast(Any, model), enabled=number < count):
                loss = grid_loss(model(images), labels) * (len(images) / len(batch))
                fabric.backward(loss)
            value += loss.detach()
        if fabric.world_size > 1:
            value = cast(Tensor, fabric.all_reduce(value, reduce_op="mean"))
        return value

    return in_parts(fabric, model, len(batch), parts, attempt)


@torch.inference_mode()
def measure_grids(
    fabric: Fabric,
    model: nn.Module,
    batches: Iterable[GridBatch],
    on_batch: Callable[[], None] = lambda: None,
    *,
    voxel_mm3: float,
) -> GridMeasures:
    """Measure over all processes' batches; the model is left in eval mode.

    Args:
        fabric: Device and precision.
        model: A segmenter itself, as for `measure_slices`.
        batches: With at least one study over all processes.
        on_batch: Called after each batch.
        voxel_mm3: Volume of a voxel.
    """
    model.eval()
    rows: list[NDArray[np.float64]] = []
    for batch in batches:
        if not len(batch):
            continue
        for image, labels in zip(batch.images, batch.labels, strict=True):
            # Alone and without the filling, which would change the statistics of the norm.
            planes = int((labels[:, 0, 0] != NO_LABEL).sum())
            with fabric.autocast():
                logits = cast(Tensor, model(image[None, :planes].to(fabric.device)))
            found = logits[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
            overlap = overlap_of(found, labels[:planes].cpu().numpy(), voxel_mm3)
            right = np.where(overlap.seen, overlap.right, np.nan)
            rows.append(np.stack([overlap.dice, right]))
        on_batch()
    dice, right = np.stack(gather_rows(fabric, rows)).transpose(1, 0, 2)
    cervical = len(VERTEBRAE)
    return GridMeasures(
        dice=_mean(dice[:, :cervical]) or 0.0,
        dice_by_class={name: _mean(dice[:, k]) for k, name in enumerate(CLASS_NAMES)},
        right_level=_mean(right[:, :cervical]) or 0.0,
        studies=len(dice),
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    """Mean of the defined values; None if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
