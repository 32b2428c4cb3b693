"""Vertebra detection: which of C1..C7 a slice shows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.constants import N_VERTEBRAE
from core.models.slice_model import (
    EMBEDDING_UNITS,
    SliceModel,
    last_linear,
    prelu_embedding,
    prelu_head,
)
from core.preprocessing.metadata import N_METADATA


class VertebraDetectorType1(SliceModel):
    """Image to seven presence logits."""

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        self.head = prelu_head(self.n_features, N_VERTEBRAE)

    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logits of v_ij, float (n, 7); `metadata` and `presence` are not read."""
        del metadata, presence
        return self.head(self.features(images))

    @property
    def output_layers(self) -> tuple[nn.Linear, ...]:
        """The layer that gives v_C1..v_C7."""
        return (last_linear(self.head),)


class VertebraDetectorType2(SliceModel):
    """Image and metadata to seven presence logits."""

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        self.embedding = prelu_embedding(N_METADATA)
        self.head = prelu_head(self.n_features + EMBEDDING_UNITS, N_VERTEBRAE)

    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logits of v_ij, float (n, 7); `presence` is not read.

        Raises:
            ValueError: `metadata` is missing.
        """
        del presence
        if metadata is None:
            raise ValueError("A Type 2 vertebra model needs metadata, float32 (n, 3).")
        joined = torch.cat([self.features(images), self.embedding(metadata)], dim=1)
        return self.head(joined)

    @property
    def output_layers(self) -> tuple[nn.Linear, ...]:
        """The layer that gives v_C1..v_C7."""
        return (last_linear(self.head),)
