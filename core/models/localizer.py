"""Faster R-CNN over slices: boxes around fractures."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from core.errors import ConfigError
from core.models.anchors import Anchors
from core.models.backbone_table import backbone_spec
from core.models.backbones import BATCH_NORM_MOMENTUM
from core.models.slice_model import ImageInput

N_CLASSES: Final = 2
"""Background and fracture: RSNA's boxes name no vertebra."""
MAX_BOXES: Final = 12
"""Raw boxes kept per slice, before fusion."""
MIN_SCORE: Final = 0.02
RAW_NMS_IOU: Final = 0.6
"""Higher than usual: fusion uses the neighbours of the best box."""


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
            f"backbone {backbone!r} has no feature pyramid; a localiser takes one of "
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


class FittedAnchors(AnchorGenerator):
    """Anchors of given widths and heights, instead of torchvision's sizes times ratios."""

    def __init__(self, anchors: Anchors) -> None:
        super().__init__(
            sizes=tuple((1,) * len(level) for level in anchors),
            aspect_ratios=tuple((1.0,) for _ in anchors),
        )
        self.cell_anchors = [
            torch.tensor([[-w / 2, -h / 2, w / 2, h / 2] for w, h in level]) for level in anchors
        ]


class RawBoxes(NamedTuple):
    """A localiser's boxes of one slice.

    Attributes:
        xyxy: float32 (k, 4) in pixels of the input, best first.
        scores: float32 (k,) in [0, 1].
    """

    xyxy: Tensor
    scores: Tensor


class Localizer(nn.Module):
    """Faster R-CNN (Ren et al. 2015) with a feature pyramid over prepared slices.

    Args:
        backbone: A key of `PYRAMIDS`.
        anchors: From `fit_anchors`, one group per level.
        size: Side of the input in pixels.
        pretrained: Start the backbone from torchvision's ImageNet weights.

    Raises:
        ConfigError: The backbone has no pyramid, or `anchors` has another number of levels.
    """

    def __init__(
        self, backbone: str, anchors: Anchors, *, size: int, pretrained: bool = False
    ) -> None:
        super().__init__()
        spec = pyramid_spec(backbone)
        if len(anchors) != spec.levels:
            raise ConfigError(
                f"{backbone} has {spec.levels} levels with anchors, but there are anchors for "
                f"{len(anchors)}; fit them again."
            )
        self.image_input = ImageInput(*backbone_spec(backbone).mean_std)
        names = [str(level) for level in range(spec.levels)]
        self.detector = FasterRCNN(
            PyramidBackbone(backbone, pretrained=pretrained),
            num_classes=None,
            # Slices are already normalised and resized: the transform only forms a batch.
            min_size=size, max_size=size, image_mean=[0.0] * 3, image_std=[1.0] * 3,
            size_divisible=1,
            rpn_anchor_generator=FittedAnchors(anchors),
            rpn_pre_nms_top_n_train=200, rpn_post_nms_top_n_train=80,
            rpn_pre_nms_top_n_test=150, rpn_post_nms_top_n_test=40,
            rpn_batch_size_per_image=128,
            box_roi_pool=MultiScaleRoIAlign(
                names, output_size=7, sampling_ratio=2, canonical_scale=112
            ),
            box_head=_BoxHead(spec.width, spec.representation),
            box_predictor=FastRCNNPredictor(spec.representation, N_CLASSES),
            box_batch_size_per_image=32, box_positive_fraction=0.33,
            box_score_thresh=MIN_SCORE, box_nms_thresh=RAW_NMS_IOU,
            box_detections_per_img=MAX_BOXES,
        )  # fmt: skip

    def forward(
        self, images: Tensor, boxes: tuple[Tensor, ...] | None = None
    ) -> dict[str, Tensor] | list[RawBoxes]:
        """Return the four losses in training mode, and boxes otherwise.

        Args:
            images: uint8 (n, s, s), or (n, 3, s, s) with neighbours.
            boxes: In training, one float32 (k, 4) per slice, xyxy in pixels; k may be 0.

        Raises:
            ValueError: Boxes are missing in training.
        """
        prepared = list(self.image_input(images))
        if not self.training:
            found = cast(list[dict[str, Tensor]], self.detector(prepared))
            return [RawBoxes(one["boxes"], one["scores"]) for one in found]
        if boxes is None:
            raise ValueError("A localiser is trained on boxes; pass one tensor per slice.")
        # Mixed precision halves the boxes as well, which torchvision refuses.
        targets = [
            {
                "boxes": one.float(),
                "labels": torch.ones(len(one), dtype=torch.int64, device=one.device),
            }
            for one in boxes
        ]
        return cast(dict[str, Tensor], self.detector(prepared, targets))


class _BoxHead(nn.Sequential):
    """Pooled regions (n, width, 7, 7) to features (n, representation)."""

    def __init__(self, width: int, representation: int) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(width * 49, representation),
            nn.ReLU(inplace=True),
            nn.Linear(representation, representation),
            nn.ReLU(inplace=True),
        )
