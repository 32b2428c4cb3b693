"""Training on batches in parts if they do not fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.errors import TrainingError

_log = logging.getLogger("core.training")


def parts_of(slices: int, parts: int) -> list[slice]:
    """Split a batch into parts of almost equal size, the larger ones first.

    Args:
        slices: Number of slices in the batch.
        parts: Number of parts, at most `slices`.
    """
    size, larger = divmod(slices, parts)
    edges = [size * k + min(k, larger) for k in range(parts + 1)]
    return [slice(first, last) for first, last in pairwise(edges)]


def in_parts(
    fabric: Fabric, model: nn.Module, slices: int, parts: int, attempt: Callable[[int], Tensor]
) -> tuple[Tensor, int]:
    """Add a batch's gradient to the weights', in more parts if memory is too small.

    Args:
        fabric: Device of the batch.
        model: The model; its gradients are cleared before another attempt.
        slices: Number of slices in the batch.
        parts: Number of parts to start with; 1 for the whole batch, more than `slices` counts as
            `slices`.
        attempt: Adds the gradient in the given number of parts and returns the loss of the batch.

    Returns:
        Loss of the batch and number of parts used.

    Raises:
        TrainingError: Memory is too small for a single slice, or one of several processes ran out
            of it, for which the others would wait forever.
    """
    parts = max(min(parts, slices), 1)
    while True:
        try:
            return attempt(parts), parts
        except torch.OutOfMemoryError as error:
            if fabric.world_size > 1 or parts >= slices:
                raise TrainingError(
                    f"The memory of {fabric.device} is too small for a batch of {slices} "
                    "slices; lower `batch_size` or `size`."
                ) from error
            parts = min(parts * 2, slices)
            _log.warning(
                "The memory of %s is too small for %d slices at once; continuing with batches "
                "in %d parts.", fabric.device, slices, parts,
            )  # fmt: skip
        # Outside the handler: the error's traceback keeps the tensors alive.
        model.zero_grad()
        if fabric.device.type == "cuda":
            torch.cuda.empty_cache()
