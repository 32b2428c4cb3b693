"""Vertebra detection: which of C1..C7 a slice shows."""

from __future__ import annotations

from torch import Tensor, nn

from core.constants import N_VERTEBRAE
from core.models.backbones import backbone_spec, build_backbone
from core.models.heads import prelu_head
from core.models.image_input import GreyToBackboneInput


class VertebraDetectorType1(nn.Module):
    """Image to seven presence logits."""

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__()
        spec = backbone_spec(backbone)
        self.image_input = GreyToBackboneInput(*spec.mean_std)
        self.backbone = build_backbone(backbone, pretrained=pretrained)
        self.head = prelu_head(spec.features, N_VERTEBRAE)

    def forward(self, images: Tensor) -> Tensor:
        """Score slices.

        Args:
            images: uint8 (n, s, s) from `slices_for_network`.

        Returns:
            Logits of v_ij, float (n, 7), C1 first.
        """
        return self.head(self.backbone(self.image_input(images)))
