"""Memory and disk that a run needs, estimated without a network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from core.config import RunConfig
from core.constants import NetworkName

_FLOAT: Final = 4
_PLANES: Final = 100
"""Planes of a study's grid at 2 mm, as `COST_GMAC` counts them."""
_MIB: Final = 1 << 20


class NetworkSize(NamedTuple):
    """Size of a network.

    Attributes:
        parameters: Number of weights.
        activations: Bytes kept for the backward pass of one image of 224 × 224 in 32 bits; of a
            segmenter, of one study of 100 planes of 224 × 224 voxels.
    """

    parameters: float
    activations: float


NETWORKS: Final[dict[NetworkName, NetworkSize]] = {
    "alexnet": NetworkSize(2.5e6, 3 * _MIB),
    "vgg16_bn": NetworkSize(14.9e6, 121 * _MIB),
    "resnet50": NetworkSize(24.0e6, 82 * _MIB),
    "resnext50_32x4d": NetworkSize(23.5e6, 107 * _MIB),
    "googlenet": NetworkSize(5.9e6, 46 * _MIB),
    "inception_v3": NetworkSize(22.3e6, 53 * _MIB),
    "densenet121": NetworkSize(7.2e6, 124 * _MIB),
    "efficientnet_v2_s": NetworkSize(20.5e6, 147 * _MIB),
    "mobilenet_v3_large": NetworkSize(3.2e6, 42 * _MIB),
    "convnext_small": NetworkSize(49.7e6, 166 * _MIB),
    "mnasnet1_3": NetworkSize(5.3e6, 57 * _MIB),
    "shufflenet_v2_x2_0": NetworkSize(5.9e6, 37 * _MIB),
    "swin_s": NetworkSize(49.0e6, 162 * _MIB),
    "regnet_y_8gf": NetworkSize(37.9e6, 164 * _MIB),
    "unet3d": NetworkSize(1.6e6, 1942 * _MIB),
}
"""Sizes of slice networks and the segmenter, as torch counts parameters and saved tensors."""
LOCALIZERS: Final[dict[NetworkName, NetworkSize]] = {
    "mobilenet_v3_large": NetworkSize(3.9e6, 45 * _MIB),
    "resnet50": NetworkSize(41.4e6, 96 * _MIB),
}
"""Sizes of localisers, and nearly those of networks with a dense head, which share the pyramid."""


@dataclass(frozen=True, slots=True)
class RunNeeds:
    """What a run needs.

    Attributes:
        memory_bytes: Weights, gradients, optimizer and one batch's activations, on the device.
        run_bytes: Checkpoint and bundle, of all folds.
        prepared_bytes: Slices prepared for the network, unless they are in the cache already.
    """

    memory_bytes: float
    run_bytes: float
    prepared_bytes: float

    @property
    def disk_bytes(self) -> float:
        """Everything on the disk."""
        return self.run_bytes + self.prepared_bytes


def run_needs(config: RunConfig, slices: int, studies: int) -> RunNeeds:
    """Estimate what a run needs.

    Args:
        config: Config of the run.
        slices: Number of labelled slices of the data set.
        studies: Number of their studies.
    """
    size = network_size(config)
    side = config.preparation.size
    weights = size.parameters * _FLOAT
    # Weights, gradients and Adam's two moments.
    copies = 4 + bool(config.ema_decay)
    images = math.ceil(config.batch_size / config.accumulate)
    halved = 0.5 if config.precision in ("bf16-mixed", "16-mixed") else 1.0
    activations = images * halved * size.activations * (side / 224) ** 2
    keeps_best = config.keep_epoch == "best" and config.fold is not None
    saved = 1 + 3 + bool(config.ema_decay) + keeps_best  # The bundle and the checkpoint.
    runs = config.folds if config.fold == "all" else 1
    if config.facts.gives == "labels":
        pixels = studies * _PLANES * side**2 * 2  # Grey levels and labels.
    else:
        pixels = slices * side**2 * (3 if config.preparation.channels == "windows" else 1)
    return RunNeeds(weights * copies + activations, runs * weights * saved, pixels)


def network_size(config: RunConfig) -> NetworkSize:
    """Size of a run's network; a dense head is a localiser's pyramid with small heads."""
    has_pyramid = config.facts.gives == "boxes" or config.head == "dense"
    return (LOCALIZERS if has_pyramid else NETWORKS)[config.backbone]
