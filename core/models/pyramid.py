"""Feature pyramids over classification networks, for localisers and dense slice networks."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FeaturePyramidNetwork

from core.errors import ConfigError
from core.models.backbones import BATCH_NORM_MOMENTUM


@dataclass(frozen=True, slots=True)
class PyramidSpec:
    """Where feature maps are taken from a backbone, finest first.

    Attributes:
        taps: Names of the modules whose outputs are taken.
        channels: Channels of each output.
        levels: How many of them have anchors; the coarser ones give context only.
        width: Channels of the pyramid.
        representation: Units of the box head.
    """

    taps: tuple[str, ...]
    channels: tuple[int, ...]
    levels: int
    width: int
    representation: int


PYRAMIDS: Final[dict[str, PyramidSpec]] = {
    # Strides 4, 8, 16, 32. torchvision's own MobileNet detector begins at stride 16, where a
    # fracture of 10 pixels is smaller than one cell.
    "mobilenet_v3_large": PyramidSpec(
        ("3", "6", "12", "15"), (24, 40, 112, 160), levels=3, width=64, representation=256
    ),
    "resnet50": PyramidSpec(
        ("layer1", "layer2", "layer3", "layer4"), (256, 512, 1024, 2048),
        levels=4, width=256, representation=1024,
    ),
}  # fmt: skip


def pyramid_spec(backbone: str) -> PyramidSpec:
    """Look up a localiser's backbone.

    Raises:
        ConfigError: The backbone has no pyramid.
    """
    if backbone not in PYRAMIDS:
        raise ConfigError(
            f"backbone {backbone!r} has no feature pyramid; set backbone to one of "
            f"{', '.join(PYRAMIDS)}."
        )
    return PYRAMIDS[backbone]


class PyramidBackbone(nn.Module):
    """A classification network whose stages feed a feature pyramid (Lin et al. 2017).

    Args:
        name: A key of `PYRAMIDS`.
        pretrained: Start from torchvision's ImageNet weights.
    """

    def __init__(self, name: str, *, pretrained: bool = False) -> None:
        super().__init__()
        spec = pyramid_spec(name)
        network: Any = get_model(name, weights="DEFAULT" if pretrained else None)
        stages = network.features if hasattr(network, "features") else network
        self.body = IntermediateLayerGetter(stages, {tap: tap for tap in spec.taps})
        for layer in self.body.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = BATCH_NORM_MOMENTUM
        self.fpn = FeaturePyramidNetwork(list(spec.channels), spec.width)
        # A map without anchors is never used: the block that makes it would get no gradient, and
        # processes that train together would wait for one.
        for unused in range(spec.levels, len(spec.taps)):
            self.fpn.layer_blocks[unused] = nn.Identity()
        self.register_load_state_dict_pre_hook(_without_unused_blocks)
        self.out_channels = spec.width
        self.levels = spec.levels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Turn normalised images (n, 3, s, s) into maps (n, width, s/4, s/4), finest first."""
        maps = list(self.fpn(self.body(images)).values())[: self.levels]
        return OrderedDict((str(level), map_) for level, map_ in enumerate(maps))


def _without_unused_blocks(
    pyramid: PyramidBackbone, state: dict[str, Any], prefix: str, *_: object
) -> None:
    """Drop the weights of output blocks without a map, which older bundles and checkpoints hold."""
    for level in range(pyramid.levels, len(pyramid.fpn.layer_blocks)):
        for name in [n for n in state if n.startswith(f"{prefix}fpn.layer_blocks.{level}.")]:
            del state[name]
