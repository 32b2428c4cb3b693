"""Faster R-CNN over slices: boxes around fractures."""

from __future__ import annotations

from typing import Final, NamedTuple, cast

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from core.errors import ConfigError
from core.models.anchors import Anchors
from core.models.backbone_table import backbone_spec
from core.models.pyramid import PyramidBackbone, pyramid_spec
from core.models.slice_model import ImageInput

N_CLASSES: Final = 2
"""Background and fracture: RSNA's boxes name no vertebra."""
MAX_BOXES: Final = 12
"""Raw boxes kept per slice, before fusion."""
MIN_SCORE: Final = 0.02
RAW_NMS_IOU: Final = 0.6
"""Higher than usual: fusion uses the neighbours of the best box."""


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
