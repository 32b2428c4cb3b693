"""What every model is made of: the image's way to features, and a forward all types share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from core.models.backbone_table import backbone_spec
from core.models.backbones import build_backbone
from core.models.image_input import ImageInput


class SliceModel(nn.Module, ABC):
    """A network over single slices.

    Args:
        backbone: A key of `BACKBONES`.
        pretrained: Start the backbone from torchvision's ImageNet weights.

    Raises:
        ConfigError: The backbone is unknown.
        TrainingError: The pretrained weights can be neither found nor downloaded.
    """

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__()
        spec = backbone_spec(backbone)
        self.image_input = ImageInput(*spec.mean_std)
        self.backbone = build_backbone(backbone, pretrained=pretrained)
        self.n_features = spec.features

    @abstractmethod
    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Score slices.

        Args:
            images: uint8 (n, s, s) grey, or (n, 3, s, s) three windows or neighbours.
            metadata: float32 (n, 3) from `slice_metadata`; read by vertebra Type 2 only.
            presence: float32 (n, 7), v_ij in [0, 1]; read by fracture Type 2 only.

        Returns:
            Logits, float (n, outputs), C1 first.

        Raises:
            ValueError: An input that this type reads is missing.
        """

    @property
    @abstractmethod
    def output_layers(self) -> tuple[nn.Linear, ...]:
        """The layers that give the logits, in the order of the logits."""

    def features(self, images: Tensor) -> Tensor:
        """Pooled features, float (n, n_features), of images as `forward` takes them."""
        return self.backbone(self.image_input(images))


def last_linear(head: nn.Sequential) -> nn.Linear:
    """The layer of a head that gives its logits."""
    last = head[-1]
    if not isinstance(last, nn.Linear):
        raise TypeError(f"A head ends in a linear layer, but this one in {type(last).__name__}.")
    return last
