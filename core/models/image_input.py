"""The first layer of every model: grey levels to what a backbone expects."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImageInput(nn.Module):
    """Scale slices to [0, 1], repeat a single channel to three, and normalise them.

    It belongs to the model, so training and inference cannot differ in it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        # Constants of the table, not weights: kept out of the saved state.
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Prepare a batch.

        Args:
            images: uint8 (n, s, s), one grey channel, or uint8 (n, 3, s, s), three channels.

        Returns:
            float32 (n, 3, s, s), channels last in memory.
        """
        channels = images.unsqueeze(1) if images.ndim == 3 else images
        scaled = channels.to(self.mean.dtype) / 255.0
        normalised = (scaled - self.mean) / self.std
        return normalised.contiguous(memory_format=torch.channels_last)
