"""Batches that do not fit into memory, learned in parts."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from lightning_fabric import Fabric
from torch import nn

from core.errors import TrainingError

_log = logging.getLogger("core.training")


def in_parts(
    fabric: Fabric, model: nn.Module, slices: int, parts: int, attempt: Callable[[int], float]
) -> tuple[float, int]:
    """Add a batch's gradient to the weights', in more parts where memory does not take it whole.

    Args:
        fabric: Where the batch lies.
        model: Its gradients are cleared before another attempt.
        slices: Of the batch.
        parts: To begin with; 1 for the whole batch at once.
        attempt: Adds the gradient in so many parts and gives the loss of the batch.

    Returns:
        The loss of the batch and the parts that it took.

    Raises:
        TrainingError: The memory does not take a single slice, or one of several processes ran
            out of it: the others would wait for ever.
    """
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
                "The memory of %s is too small for %d slices at once; batches are learned in %d "
                "parts from here on.", fabric.device, slices, parts,
            )  # fmt: skip
        # Outside the handler: the error's traceback keeps the tensors alive.
        model.zero_grad()
        if fabric.device.type == "cuda":
            torch.cuda.empty_cache()
