"""The image networks, by torchvision name, cut before their classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import URLError

from torch import nn
from torchvision import models as tv

from core.errors import ConfigError, TrainingError

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BATCH_NORM_MOMENTUM: Final = 0.1
HALF: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """How to make one network.

    Attributes:
        build: torchvision's builder.
        weights: torchvision's weights enum.
        classifier: Name of the layer after the pooled features, replaced by the identity.
        features: Number of pooled features.
        mean_std: Mean and standard deviation of [0, 1] pixels, per channel, that the pretrained
            weights expect.
        options: Keyword arguments of `build`.
    """

    build: Callable[..., nn.Module]
    weights: Any
    classifier: str
    features: int
    mean_std: tuple[tuple[float, ...], tuple[float, ...]]
    options: dict[str, bool]


# GoogLeNet's own initialisation draws every weight from a truncated normal, which is very slow.
_GOOGLENET: Final = {"aux_logits": False, "init_weights": False, "transform_input": False}

BACKBONES: Final[dict[str, BackboneSpec]] = {
    "mobilenet_v3_large": BackboneSpec(
        tv.mobilenet_v3_large, tv.MobileNet_V3_Large_Weights, "classifier", 960, IMAGENET, {}
    ),
    "googlenet": BackboneSpec(
        tv.googlenet, tv.GoogLeNet_Weights, "fc", 1024, HALF, _GOOGLENET
    ),
    "resnet50": BackboneSpec(tv.resnet50, tv.ResNet50_Weights, "fc", 2048, IMAGENET, {}),
    "densenet121": BackboneSpec(
        tv.densenet121, tv.DenseNet121_Weights, "classifier", 1024, IMAGENET, {}
    ),
}  # fmt: skip


def build_backbone(name: str, *, pretrained: bool = False) -> nn.Module:
    """Make a network from normalised images (n, 3, s, s) to pooled features (n, features).

    Args:
        name: A key of `BACKBONES`.
        pretrained: Start from torchvision's ImageNet weights instead of random ones.

    Raises:
        ConfigError: The name is not in the table.
        TrainingError: The pretrained weights can be neither found nor downloaded.
    """
    spec = backbone_spec(name)
    network = spec.build(weights=None, **spec.options)
    setattr(network, spec.classifier, nn.Identity())
    # MobileNetV3's own 0.01 is made for hundreds of thousands of steps: after a few hundred, its
    # running statistics are still far from the data and eval mode answers at random.
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = BATCH_NORM_MOMENTUM
    if pretrained:
        _load_pretrained(network, name, spec)
    return network


def backbone_spec(name: str) -> BackboneSpec:
    """Look a backbone up.

    Raises:
        ConfigError: The name is not in the table.
    """
    if name not in BACKBONES:
        raise ConfigError(f"backbone {name!r} is unknown; choose one of {', '.join(BACKBONES)}.")
    return BACKBONES[name]


def _load_pretrained(network: nn.Module, name: str, spec: BackboneSpec) -> None:
    try:
        state = spec.weights.DEFAULT.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise TrainingError(
            f"The pretrained weights of {name} cannot be downloaded; set `pretrained: false`, or "
            f"put {spec.weights.DEFAULT.url.rsplit('/', 1)[-1]} into torch's hub cache "
            "($TORCH_HOME/hub/checkpoints)."
        ) from error
    # Only the classifier (and GoogLeNet's auxiliary heads) may be left over.
    missing, _ = network.load_state_dict(state, strict=False)
    if missing:
        raise TrainingError(
            f"The pretrained weights of {name} lack {missing[0]}; delete that file from torch's "
            "hub cache, or set `pretrained: false`."
        )
