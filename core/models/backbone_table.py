"""The fourteen image networks as one table, read without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from core.errors import ConfigError

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Where one torchvision network is cut, and what input it takes.

    Attributes:
        last: Dotted name of the module after the pooled, normalised features; replaced by the
            identity.
        features: Number of pooled features.
        min_size: Smallest side of an image that leaves at least one cell to pool, in pixels.
        min_alone: Smallest side that a batch of one slice can be trained at: below, batch norm has
            one value per channel to take the mean of.
        multiple: The side must be a multiple of this, else strides without padding drop the margin.
        mean_std: Mean and standard deviation of [0, 1] pixels, per channel, that the pretrained
            weights expect.
        pool_all: Pool the last feature map to one cell per channel instead of the network's own
            6 x 6 or 7 x 7.
        options: Keyword arguments of torchvision's builder.
    """

    last: str
    features: int
    min_size: int = 32
    min_alone: int = 33
    multiple: int = 1
    mean_std: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    pool_all: bool = False
    options: dict[str, bool] = field(default_factory=dict[str, bool])


# torchvision's initialisation draws every weight from a truncated normal, which is very slow. Its
# input transform turns ImageNet's normalisation into HALF, which is applied directly here.
_INCEPTION: Final = {"aux_logits": False, "init_weights": False, "transform_input": False}

BACKBONES: Final[dict[str, BackboneSpec]] = {
    "alexnet": BackboneSpec("classifier", 256, min_size=63, min_alone=63, pool_all=True),
    "vgg16_bn": BackboneSpec("classifier", 512, min_alone=32, pool_all=True),
    "resnet50": BackboneSpec("fc", 2048),
    "resnext50_32x4d": BackboneSpec("fc", 2048),
    "googlenet": BackboneSpec("fc", 1024, min_alone=47, mean_std=HALF, options=_INCEPTION),
    "inception_v3": BackboneSpec(
        "fc", 2048, min_size=75, min_alone=107, mean_std=HALF, options=_INCEPTION
    ),
    "densenet121": BackboneSpec("classifier", 1024, min_alone=61),
    "efficientnet_v2_s": BackboneSpec("classifier", 1280),
    "mobilenet_v3_large": BackboneSpec("classifier", 960),
    "convnext_small": BackboneSpec("classifier.2", 768, min_alone=32, multiple=32),
    "mnasnet1_3": BackboneSpec("classifier", 1280),
    "shufflenet_v2_x2_0": BackboneSpec("fc", 2048),
    "swin_s": BackboneSpec("head", 768, min_alone=32, multiple=4),
    "regnet_y_8gf": BackboneSpec("fc", 2016),
}
"""By torchvision's name. AlexNet and VGG lose their fully connected layers (nine tenths of their
weights, too large for a bundle); ConvNeXt and Swin keep the norm before their last layer."""


def backbone_spec(name: str) -> BackboneSpec:
    """Look up a backbone.

    Raises:
        ConfigError: The name is not in the table.
    """
    if name not in BACKBONES:
        raise ConfigError(f"backbone {name!r} is unknown; choose one of {', '.join(BACKBONES)}.")
    return BACKBONES[name]


def check_input_size(name: str, size: int) -> None:
    """Check that a backbone takes square images of `size` pixels.

    Raises:
        ConfigError: The backbone is unknown, or the size is too small or not a valid multiple.
    """
    spec = backbone_spec(name)
    smallest = -(-spec.min_size // spec.multiple) * spec.multiple
    if size < smallest:
        raise ConfigError(
            f"{name} needs images of at least {smallest} pixels, but size is {size}; set `size` "
            f"to {smallest} or more."
        )
    if size % spec.multiple:
        below = size // spec.multiple * spec.multiple
        raise ConfigError(
            f"{name} needs a size that is a multiple of {spec.multiple} pixels, but size is "
            f"{size}; set `size` to {below} or {below + spec.multiple}."
        )


def check_batch(name: str, size: int, slices: int) -> None:
    """Check that a backbone can be trained on batches of so many square images of `size` pixels.

    Raises:
        ConfigError: The backbone is unknown, or batch norm would see one value per channel.
    """
    smallest = backbone_spec(name).min_alone
    if slices == 1 and size < smallest:
        raise ConfigError(
            f"{name} cannot be trained on batches of one slice at a size of {size} pixels, for "
            "batch norm needs more than one value per channel; set `batch_size` to 2 or more per "
            f"process, or `size` to {smallest} or more."
        )
