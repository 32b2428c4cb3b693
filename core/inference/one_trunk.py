"""Several dense networks of one frozen trunk over a study: the trunk runs once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from core.models.dense import DenseModel
from core.preprocessing.network_input import stack_neighbours

_BATCH: Final = 32


@torch.inference_mode()
def on_one_trunk(
    models: Mapping[str, DenseModel], images: NDArray[np.uint8], presence: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Probabilities of every network for every slice.

    Args:
        models: Networks by name, in eval mode, whose trunks have the same weights.
        images: uint8 (n, s, s), the prepared slices of a study; neighbours are stacked here.
        presence: float32 (n, 7), v_ij, the input of Type 2.

    Returns:
        float32 (n, outputs) by name.
    """
    stacked = stack_neighbours(images)
    seen = torch.from_numpy(presence)
    first = next(iter(models.values()))
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in models}
    for start in range(0, len(stacked), _BATCH):
        part = slice(start, start + _BATCH)
        trunk = first.backbone(first.image_input(torch.from_numpy(stacked[part])))
        for name, model in models.items():
            parts[name].append(torch.sigmoid(model.outputs(trunk, seen[part]).logits))
    return {name: torch.cat(each).numpy() for name, each in parts.items()}
