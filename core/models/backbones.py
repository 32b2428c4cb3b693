"""The image networks, cut before their classifier."""

from __future__ import annotations

from typing import Any, Final
from urllib.error import URLError

from torch import nn
from torchvision.models import get_model, get_model_weights

from core.errors import TrainingError
from core.models.backbone_table import BackboneSpec, backbone_spec

BATCH_NORM_MOMENTUM: Final = 0.1


def build_backbone(name: str, *, pretrained: bool = False) -> nn.Module:
    """Make a network from normalised images (n, 3, s, s) to pooled features (n, features).

    GoogLeNet and Inception are built without their auxiliary classifiers. Those were designed to
    carry gradients into deep networks; with batch norm they do not speed up training and act only
    as a weak regulariser (Szegedy et al. 2016, "Rethinking the Inception Architecture", section 4).
    They would also need a second copy of every head and of its loss.

    Args:
        name: A key of `BACKBONES`.
        pretrained: Start from torchvision's ImageNet weights instead of random ones.

    Raises:
        ConfigError: The name is not in the table.
        TrainingError: The pretrained weights can be neither found nor downloaded.
    """
    spec = backbone_spec(name)
    network: nn.Module = get_model(name, weights=None, **spec.options)
    if spec.pool_all:
        network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.set_submodule(spec.last, nn.Identity())
    # MobileNetV3's default 0.01 and MNASNet's 0.0003 suit hundreds of thousands of steps: after a
    # few hundred, running statistics are still far from the data and eval mode outputs noise.
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = BATCH_NORM_MOMENTUM
    if pretrained:
        _load_pretrained(network, name, spec)
    return network


def _load_pretrained(network: nn.Module, name: str, spec: BackboneSpec) -> None:
    enum: Any = get_model_weights(name)
    weights = enum.DEFAULT
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise TrainingError(
            f"The pretrained weights of {name} cannot be downloaded; set `pretrained: false` to "
            f"start from random ones, or put {weights.url.rsplit('/', 1)[-1]} into torch's hub "
            "cache ($TORCH_HOME/hub/checkpoints)."
        ) from error
    # Only the removed parts, the classifier and the auxiliary heads, may be left over.
    missing, surplus = network.load_state_dict(state, strict=False)
    foreign = [key for key in surplus if not key.startswith((spec.last, "aux", "AuxLogits"))]
    if missing or foreign:
        fault = f"lack {missing[0]}" if missing else f"hold {foreign[0]}, which it has no place for"
        raise TrainingError(
            f"The pretrained weights of {name} {fault}; delete that file from torch's "
            "hub cache, or set `pretrained: false`."
        )
