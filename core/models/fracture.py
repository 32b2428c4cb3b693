"""Fracture detection: whether a slice shows a fracture, and of which vertebra."""

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


class FractureDetectorType1(SliceModel):
    """Image to one fracture logit."""

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        self.head = prelu_head(self.n_features, 1)

    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logit of f_i, float (n, 1); `metadata` and `presence` are not read."""
        del metadata, presence
        return self.head(self.features(images))

    @property
    def output_layers(self) -> tuple[nn.Linear, ...]:
        """The layer that gives f_i."""
        return (last_linear(self.head),)


class FractureDetectorType2(SliceModel):
    """Image and the seven vertebra probabilities to seven fracture logits."""

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        self.embedding = prelu_embedding(N_VERTEBRAE)
        self.head = prelu_head(self.n_features + EMBEDDING_UNITS, N_VERTEBRAE)

    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logits of f_ij, float (n, 7); `metadata` is not read.

        Raises:
            ValueError: `presence` is missing.
        """
        del metadata
        if presence is None:
            raise ValueError("A Type 2 fracture model needs presence, float32 (n, 7).")
        joined = torch.cat([self.features(images), self.embedding(presence)], dim=1)
        return self.head(joined)

    @property
    def output_layers(self) -> tuple[nn.Linear, ...]:
        """The layer that gives f_C1..f_C7."""
        return (last_linear(self.head),)


class FractureDetectorType3(SliceModel):
    """Image to seven fracture and seven presence logits, learnt together."""

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        self.fracture_head = prelu_head(self.n_features, N_VERTEBRAE)
        self.vertebra_head = prelu_head(self.n_features, N_VERTEBRAE)

    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logits f_C1..f_C7, then v_C1..v_C7, float (n, 14); the other inputs are not read."""
        del metadata, presence
        features = self.features(images)
        return torch.cat([self.fracture_head(features), self.vertebra_head(features)], dim=1)

    @property
    def output_layers(self) -> tuple[nn.Linear, ...]:
        """The layers that give f_C1..f_C7 and v_C1..v_C7."""
        return (last_linear(self.fracture_head), last_linear(self.vertebra_head))
