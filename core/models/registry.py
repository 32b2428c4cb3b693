"""Models by task and type."""

from __future__ import annotations

from typing import Final

from core.constants import HeadName
from core.errors import ConfigError
from core.models.backbone_table import check_input_size
from core.models.dense import DenseFractureType1, DenseFractureType2, DenseFractureType3
from core.models.detectors import (
    FractureDetectorType1,
    FractureDetectorType2,
    FractureDetectorType3,
    VertebraDetectorType1,
    VertebraDetectorType2,
)
from core.models.slice_model import SliceModel

MODELS: Final[dict[tuple[str, int], type[SliceModel]]] = {
    ("vertebra", 1): VertebraDetectorType1,
    ("vertebra", 2): VertebraDetectorType2,
    ("fracture", 1): FractureDetectorType1,
    ("fracture", 2): FractureDetectorType2,
    ("fracture", 3): FractureDetectorType3,
}
"""Models with pooled features."""
DENSE_MODELS: Final[dict[tuple[str, int], type[SliceModel]]] = {
    ("fracture", 1): DenseFractureType1,
    ("fracture", 2): DenseFractureType2,
    ("fracture", 3): DenseFractureType3,
}
"""Models with maps of the fracture line."""


def build_model(
    task: str, type: int, backbone: str,
    *, head: HeadName = "pooled", size: int | None = None, pretrained: bool = False,
) -> SliceModel:  # fmt: skip
    """Make a model with fresh weights.

    Args:
        task: "vertebra" or "fracture".
        type: The method's model type, 1 to 3.
        backbone: A key of `core.models.backbone_table.BACKBONES`.
        head: Pooled features, or maps of the fracture line.
        size: Side of the input images, checked if given.
        pretrained: Start the backbone from torchvision's ImageNet weights.

    Returns:
        A module from uint8 images to logits (n, outputs), in training mode: 7 for vertebra Types 1
        and 2, 1 for fracture Type 1, 7 for fracture Type 2, 14 (f, then v) for fracture Type 3.

    Raises:
        ConfigError: No such model or backbone, or the backbone does not take that size.
        TrainingError: The pretrained weights can be neither found nor downloaded.
    """
    models = DENSE_MODELS if head == "dense" else MODELS
    if (task, type) not in models:
        known = ", ".join(f"{name} type {number}" for name, number in models)
        raise ConfigError(
            f"There is no {head} {task} model of type {type}; choose one of: {known}."
        )
    if size is not None:
        check_input_size(backbone, size)
    return models[task, type](backbone, pretrained=pretrained)
