"""A localiser's loss on a batch, and its measures on held-out slices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torchvision.ops import box_iou

from core.models.localizer import RawBoxes
from core.prepared.box_dataset import BoxBatch
from core.training.distributed import gather_rows
from core.training.epoch_scores import score_counts
from core.training.micro_batches import in_parts, parts_of
from core.training.task import Measures


@dataclass(frozen=True, slots=True)
class BoxMeasures(Measures):
    """Measures on held-out slices, before any fusion.

    Attributes:
        auc: AUC of a slice's best score, boxed slices against the others; None if one is missing.
        mean_iou: IoU of the best-scored box with the true one, mean over boxed slices, 0 without
            one.
        hit_rate: Share of boxed slices whose best-scored box has its centre in a true one.
        slices: Number of slices.
        boxed_slices: Number of slices with a true box.
        score_counts: Best scores of slices, boxed ones as positives, as
            `core.training.epoch_scores` counts them.
    """

    auc: float | None
    mean_iou: float
    hit_rate: float
    slices: int
    boxed_slices: int
    score_counts: dict[str, list[int]]

    @property
    def deficit(self) -> float:
        """What the mean IoU lacks of 1: in eval mode, Faster R-CNN gives boxes and no loss."""
        return 1.0 - self.mean_iou

    @property
    def curves(self) -> dict[str, float | None]:
        """AUC and mean IoU."""
        return {"auc": self.auc, "mean_iou": self.mean_iou}

    def __str__(self) -> str:
        """Mean IoU, hit rate and AUC in one clause."""
        return f"mean IoU {self.mean_iou:.3f}, hit rate {self.hit_rate:.3f}, slice AUC {self.auc}"


def add_box_gradients(
    fabric: Fabric, model: nn.Module, batch: BoxBatch, parts: int
) -> tuple[Tensor, int]:
    """As `engine.AddGradients`: the sum of Faster R-CNN's four losses.

    Each part counts by its share of the slices, and each process alike. The losses are means over
    proposals, which are drawn again for every part, so that parts only approximate the gradient of
    the batch.

    Args:
        fabric: Device and precision.
        model: A localiser, set up by `fabric`.
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
            boxes = batch.boxes[part]
            with fabric.no_backward_sync(cast(Any, model), enabled=number < count):
                losses = model(batch.images[part], boxes)
                loss = torch.stack(list(losses.values())).sum() * (len(boxes) / len(batch))
                fabric.backward(loss)
            value += loss.detach()
        if fabric.world_size > 1:
            value = cast(Tensor, fabric.all_reduce(value, reduce_op="mean"))
        return value

    return in_parts(fabric, model, len(batch), parts, attempt)


@torch.inference_mode()
def measure_boxes(
    fabric: Fabric,
    model: nn.Module,
    batches: Iterable[BoxBatch],
    on_batch: Callable[[], None] = lambda: None,
) -> BoxMeasures:
    """Measure over all processes' batches; the model is left in eval mode.

    Args:
        fabric: Device and precision.
        model: A localiser itself, as for `measure_slices`.
        batches: With at least one boxed slice over all processes.
        on_batch: Called after each batch.
    """
    model.eval()
    rows: list[tuple[float, bool, float, bool]] = []
    for batch in batches:
        if not len(batch):
            continue
        images = batch.images.to(fabric.device, non_blocking=True)
        with fabric.autocast():
            found = cast(list[RawBoxes], model(images))
        rows += [_measure(raw, boxes) for raw, boxes in zip(found, batch.boxes, strict=True)]
        on_batch()
    return _summary(np.array(gather_rows(fabric, rows), dtype=np.float64))


def _measure(raw: RawBoxes, truth: torch.Tensor) -> tuple[float, bool, float, bool]:
    """Best score, whether the slice is boxed, and IoU and hit of the best box."""
    score = float(raw.scores[0]) if len(raw.scores) else 0.0
    if not len(truth) or not len(raw.scores):
        return score, len(truth) > 0, 0.0, False
    best = raw.xyxy[:1].float().cpu()
    middle = (best[:, :2] + best[:, 2:]) / 2
    inside = ((middle >= truth[:, :2]) & (middle <= truth[:, 2:])).all(dim=1).any()
    return score, True, float(box_iou(best, truth).max()), bool(inside)


def _summary(rows: NDArray[np.float64]) -> BoxMeasures:
    scores, boxed, iou, hit = rows.T
    is_boxed = boxed > 0
    both = is_boxed.any() and not is_boxed.all()
    return BoxMeasures(
        auc=float(roc_auc_score(is_boxed, scores)) if both else None,
        mean_iou=float(iou[is_boxed].mean()),
        hit_rate=float(hit[is_boxed].mean()),
        slices=len(rows),
        boxed_slices=int(is_boxed.sum()),
        score_counts=score_counts(scores, is_boxed),
    )
