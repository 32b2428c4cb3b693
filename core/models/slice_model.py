"""Base classes and parts of the slice networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Final, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from core.constants import N_VERTEBRAE
from core.models.backbone_table import backbone_spec
from core.models.backbones import build_backbone

HIDDEN_UNITS: Final = 256
DROPOUT: Final = 0.2
EMBEDDING_UNITS: Final = 32


class OutputLayer(Protocol):
    """A layer that gives logits, each with a bias of its own."""

    @property
    def out_features(self) -> int:
        """Number of logits."""
        ...

    @property
    def bias(self) -> Tensor:
        """Float (out_features,), added to the logits."""
        ...


class SliceModel(nn.Module, ABC):
    """A network over single slices, most with one `head` that gives the logits.

    Args:
        backbone: A key of `BACKBONES`.
        pretrained: Start the backbone from torchvision's ImageNet weights.

    Raises:
        ConfigError: The backbone is unknown.
        TrainingError: The pretrained weights can be neither found nor downloaded.
    """

    head: nn.Sequential

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__()
        spec = backbone_spec(backbone)
        self.image_input = ImageInput(*spec.mean_std)
        self.backbone, self.n_features = self._make_backbone(backbone, pretrained=pretrained)
        self._is_frozen = False

    @abstractmethod
    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Score slices.

        Args:
            images: uint8 (n, s, s) grey, or (n, 3, s, s) three windows or neighbours.
            metadata: float32 (n, 3) from `slice_metadata`; used by vertebra Type 2 only.
            presence: float32 (n, 7), v_ij in [0, 1]; used by fracture Type 2 only.

        Returns:
            Logits, float (n, outputs), C1 first.

        Raises:
            ValueError: An input that this type needs is missing.
        """

    @staticmethod
    def _make_backbone(backbone: str, *, pretrained: bool) -> tuple[nn.Module, int]:
        """The image network below the head, and the number of its features."""
        made = build_backbone(backbone, pretrained=pretrained)
        return made, backbone_spec(backbone).features

    def freeze_backbone(self) -> None:
        """Train the head alone: the backbone keeps its weights and batch statistics."""
        self._is_frozen = True
        self.backbone.requires_grad_(requires_grad=False)
        self.backbone.eval()

    def train(self, mode: bool = True) -> Self:
        """As `nn.Module.train`; a frozen backbone stays in eval mode."""
        super().train(mode)
        if self._is_frozen:
            self.backbone.eval()
        return self

    @property
    def output_layers(self) -> tuple[OutputLayer, ...]:
        """The layers that give the logits, in the order of the logits: here the head's last."""
        return (last_linear(self.head),)

    def features(self, images: Tensor) -> Tensor:
        """Pooled features, float (n, n_features), of images as `forward` takes them."""
        return self.backbone(self.image_input(images))


class ImageModel(SliceModel):
    """The image alone to logits, `OUTPUTS` of them."""

    OUTPUTS: ClassVar[int] = N_VERTEBRAE

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        self.head = prelu_head(self.n_features, self.OUTPUTS)

    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logits, float (n, `OUTPUTS`); `metadata` and `presence` are not used."""
        del metadata, presence
        return self.head(self.features(images))


class JoinedModel(SliceModel):
    """The image and one other input, `TAKES` with `VALUES` numbers per slice, to seven logits."""

    TAKES: ClassVar[Literal["metadata", "presence"]]
    VALUES: ClassVar[int]

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        self.embedding = prelu_embedding(self.VALUES)
        self.head = prelu_head(self.n_features + EMBEDDING_UNITS, N_VERTEBRAE)

    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None
    ) -> Tensor:
        """Logits, float (n, 7), from images and `TAKES`; the third input is not used.

        Raises:
            ValueError: The input that `TAKES` names is missing.
        """
        values = metadata if self.TAKES == "metadata" else presence
        if values is None:
            raise ValueError(f"This model needs {self.TAKES}, float32 (n, {self.VALUES}).")
        return self.head(torch.cat([self.features(images), self.embedding(values)], dim=1))


def last_linear(head: nn.Sequential) -> nn.Linear:
    """The layer of a head that gives its logits."""
    last = head[-1]
    if not isinstance(last, nn.Linear):
        raise TypeError(f"A head ends in a linear layer, but this one in {type(last).__name__}.")
    return last


class ImageInput(nn.Module):
    """Scale slices to [0, 1], repeat a single channel to three, and normalise them.

    As a part of the model it is the same in training and inference.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        # Constants of the table, not weights: not in the saved state.
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


def prelu_head(features: int, outputs: int) -> nn.Sequential:
    """Make a head from float (n, features) to logits (n, outputs): linear, PReLU, linear."""
    return nn.Sequential(
        nn.Linear(features, HIDDEN_UNITS),
        nn.PReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN_UNITS, outputs),
    )


def prelu_embedding(values: int) -> nn.Sequential:
    """Make an embedding of a few numbers per slice, float (n, values), to (n, EMBEDDING_UNITS).

    Two layers, as a slice ratio or a presence relates to vertebrae in a nonlinear way.
    """
    return nn.Sequential(
        nn.Linear(values, EMBEDDING_UNITS),
        nn.PReLU(),
        nn.Linear(EMBEDDING_UNITS, EMBEDDING_UNITS),
        nn.PReLU(),
    )
