"""The focal loss on the cells of a dense network's line maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

FOCUS: Final = 2.0
"""Exponent gamma: how little a cell counts that is right already."""
POSITIVE_SHARE: Final = 0.25
"""Weight alpha of a cell with a line; one without weighs 1 - alpha."""


@dataclass(frozen=True, slots=True)
class MapLoss:
    """Focal loss (Lin et al. 2017) of the cells, where it is known which of them show the line.

    With p the probability of a cell and t its truth, 1 in a box of a fracture of the map's
    vertebra, else 0::

        loss(u) = -t * alpha * (1 - p)^gamma * log p - (1 - t) * (1 - alpha) * p^gamma * log(1 - p)

    The sum over all known cells is divided by the number of cells with t = 1. On a slice whose
    truth is positive but that has no box, no cell is known. A truth between 0 and 1 counts as the
    expected loss.

    Attributes:
        maps: Number of maps: one for all vertebrae, or seven.
        factor: Weight beside the other terms of the loss.
    """

    maps: int
    factor: float = 1.0

    def sums(
        self, maps: Tensor, boxes: Sequence[Tensor], fractured: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the sum of the loss and the number of cells with a line, float32 scalars.

        Args:
            maps: Float (n, maps, rows, columns), logits.
            boxes: One float32 (k, 4) per slice, xyxy as fractions of the image's sides; k may be 0.
            fractured: float32 (n, 7), y_ij in [0, 1].
        """
        truth, known = map_truth(maps.shape, boxes, fractured)
        logits = maps.float()
        probs = torch.sigmoid(logits)
        missed = truth * (1 - probs) ** FOCUS * functional.logsigmoid(logits)
        false = (1 - truth) * probs**FOCUS * functional.logsigmoid(-logits)
        loss = -(POSITIVE_SHARE * missed + (1 - POSITIVE_SHARE) * false)
        return (loss * known[:, :, None, None]).sum(), truth.sum()

    def weight(self, size: int, boxes: Sequence[Tensor], fractured: Tensor) -> Tensor:
        """The number of cells with a line, as of `sums`.

        Args:
            size: Side of the images in pixels.
            boxes: As for `sums`.
            fractured: As for `sums`.
        """
        side = math.ceil(math.ceil(size / 2) / 2)
        return map_truth((len(fractured), self.maps, side, side), boxes, fractured)[0].sum()


def map_truth(
    shape: Sequence[int], boxes: Sequence[Tensor], fractured: Tensor
) -> tuple[Tensor, Tensor]:
    """The truth of every cell, and how far each map's truth is known.

    Args:
        shape: (n, maps, rows, columns).
        boxes: As for `MapLoss.sums`.
        fractured: float32 (n, 7), y_ij in [0, 1].

    Returns:
        float32 (n, maps, rows, columns), and float32 (n, maps): 1 where the slice has a box,
        1 - y_ij elsewhere.
    """
    _, maps, rows, columns = shape
    truth = fractured.amax(dim=1, keepdim=True) if maps == 1 else fractured
    inside = torch.stack([box_cells(one.to(truth), rows, columns) for one in boxes])
    boxed = torch.tensor([len(one) > 0 for one in boxes], device=truth.device)
    known = torch.where(boxed[:, None], torch.ones_like(truth), 1 - truth)
    return truth[:, :, None, None] * inside[:, None], known


def box_cells(boxes: Tensor, rows: int, columns: int) -> Tensor:
    """Mark the cells whose centre lies in a box, float (rows, columns).

    A box narrower than a cell is taken as one cell wide, so that none is lost.

    Args:
        boxes: Float (k, 4), xyxy as fractions of the sides.
        rows: Rows of the map.
        columns: Columns of the map.
    """
    marked = boxes.new_zeros((rows, columns))
    sides = boxes.new_tensor([columns, rows])
    centers = [torch.arange(int(n), device=boxes.device, dtype=boxes.dtype) + 0.5 for n in sides]
    for box in boxes:
        low, high = box[:2] * sides, box[2:] * sides
        middle, half = (low + high) / 2, torch.clamp((high - low) / 2, min=0.5)
        across, down = (
            (center >= middle[axis] - half[axis]) & (center <= middle[axis] + half[axis])
            for axis, center in enumerate(centers)
        )
        marked[down[:, None] & across[None, :]] = 1.0
    return marked
