"""Fracture detection: whether a slice shows a fracture."""

from __future__ import annotations

from torch import Tensor, nn

from core.models.backbones import backbone_spec, build_backbone
from core.models.heads import prelu_head
from core.models.image_input import GreyToBackboneInput


class FractureDetectorType1(nn.Module):
    """Image to one fracture logit."""

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__()
        spec = backbone_spec(backbone)
        self.image_input = GreyToBackboneInput(*spec.mean_std)
        self.backbone = build_backbone(backbone, pretrained=pretrained)
        self.head = prelu_head(spec.features, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Score slices.

        Args:
            images: uint8 (n, s, s) from `slices_for_network`.

        Returns:
            Logit of f_i, float (n, 1).
        """
        return self.head(self.backbone(self.image_input(images)))
