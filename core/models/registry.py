"""Models by task and type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import nn

from core.errors import ConfigError
from core.models.fracture import FractureDetectorType1
from core.models.vertebra import VertebraDetectorType1

MODELS: Final[dict[tuple[str, int], Callable[..., nn.Module]]] = {
    ("vertebra", 1): VertebraDetectorType1,
    ("fracture", 1): FractureDetectorType1,
}


def build_model(task: str, type: int, backbone: str, *, pretrained: bool = False) -> nn.Module:
    """Make a model with fresh weights.

    Args:
        task: "vertebra" or "fracture".
        type: The method's model type, 1 to 3.
        backbone: A key of `core.models.backbones.BACKBONES`.
        pretrained: Start the backbone from torchvision's ImageNet weights.

    Returns:
        A module from uint8 images (n, s, s) to logits (n, outputs), in training mode.

    Raises:
        ConfigError: No such model or backbone.
        TrainingError: The pretrained weights can be neither found nor downloaded.
    """
    if (task, type) not in MODELS:
        known = ", ".join(f"{name} type {number}" for name, number in MODELS)
        raise ConfigError(f"There is no {task} model of type {type}; choose one of: {known}.")
    return MODELS[task, type](backbone, pretrained=pretrained)
