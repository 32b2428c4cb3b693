"""The networks of every task and type: which vertebrae a slice shows, and which are fractured."""

from __future__ import annotations

import torch
from torch import Tensor

from core.constants import N_VERTEBRAE
from core.models.slice_model import (
    ImageModel,
    JoinedModel,
    OutputLayer,
    SliceModel,
    last_linear,
    prelu_head,
)
from core.preprocessing.metadata import N_METADATA


class VertebraDetectorType1(ImageModel):
    """Image to seven presence logits, v_ij."""


class VertebraDetectorType2(JoinedModel):
    """Image and metadata to seven presence logits, v_ij."""

    TAKES = "metadata"
    VALUES = N_METADATA


class FractureDetectorType1(ImageModel):
    """Image to one fracture logit, f_i."""

    OUTPUTS = 1


class FractureDetectorType2(JoinedModel):
    """Image and the seven vertebra probabilities to seven fracture logits, f_ij."""

    TAKES = "presence"
    VALUES = N_VERTEBRAE


class FractureDetectorType3(SliceModel):
    """Image to seven fracture and seven presence logits, trained together."""

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        self.fracture_head = prelu_head(self.n_features, N_VERTEBRAE)
        self.vertebra_head = prelu_head(self.n_features, N_VERTEBRAE)

    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logits f_C1..f_C7, then v_C1..v_C7, float (n, 14); the other inputs are not used."""
        del metadata, presence
        features = self.features(images)
        return torch.cat([self.fracture_head(features), self.vertebra_head(features)], dim=1)

    @property
    def output_layers(self) -> tuple[OutputLayer, ...]:
        """The layers that give f_C1..f_C7 and v_C1..v_C7."""
        return (last_linear(self.fracture_head), last_linear(self.vertebra_head))
