"""Names and numbers fixed by anatomy, by the RSNA 2022 data set or by the method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

VERTEBRAE: Final[tuple[str, ...]] = ("C1", "C2", "C3", "C4", "C5", "C6", "C7")
N_VERTEBRAE: Final = len(VERTEBRAE)

BOXES_TYPE: Final = 4
"""Fracture type of scores from a localiser's boxes; no network is trained with it."""
FRACTURE_TYPES: Final = (1, 2, 3, BOXES_TYPE)

HU_AIR: Final = -1024
"""HU given to padding and to voxels outside the scanned field."""

DISPLAY_WINDOWS: Final[dict[str, tuple[float, float]]] = {
    "bone": (400.0, 1800.0),
    "soft tissue": (40.0, 400.0),
    "brain": (40.0, 80.0),
    "lung": (-600.0, 1500.0),
    "full": (1024.0, 4096.0),
}
"""HU windows by name: (centre, width)."""

NETWORK_WINDOWS: Final[dict[str, tuple[float, float]]] = {
    "bone": (400.0, 1800.0),
    "soft tissue": (40.0, 400.0),
    "spongy bone": (300.0, 600.0),
}
"""HU windows (centre, width) of the three channels of the channel mode "windows".

Bone shows cortex and alignment, soft tissue prevertebral swelling and haematoma. The third, 0 to
600 HU, spreads the range between marrow and thin cortex, where a hairline fracture is only a shade
of grey in the bone window. The brain window is left out: its 80 HU are narrower than the noise of a
cervical spine scan.
"""

WEIGHT_VERTEBRA_NEGATIVE: Final = 1.0
WEIGHT_VERTEBRA_POSITIVE: Final = 2.0
WEIGHT_PATIENT_NEGATIVE: Final = 7.0
WEIGHT_PATIENT_POSITIVE: Final = 14.0
"""Weights of the RSNA 2022 competition metric, used by the training loss as well."""

RSNA_PROBABILITY_CLIP: Final = 1e-15

MASK_LABELS: Final[dict[str, int]] = {name: j + 1 for j, name in enumerate(VERTEBRAE)}
"""Label of each cervical vertebra in `segmentations/*.nii`; 8..19 are T1..T12."""

SYNTHETIC_WARNING: Final = (
    "Synthetic data: these studies are generated, not scanned. "
    "No figure on them says anything about patients."
)
NOT_FOR_CLINICAL_USE: Final = (
    "For research and teaching only. Not a medical device; not for clinical use."
)

BackboneName = Literal[
    "alexnet", "vgg16_bn", "resnet50", "resnext50_32x4d", "googlenet", "inception_v3",
    "densenet121", "efficientnet_v2_s", "mobilenet_v3_large", "convnext_small", "mnasnet1_3",
    "shufflenet_v2_x2_0", "swin_s", "regnet_y_8gf",
]  # fmt: skip
SegmenterName = Literal["unet3d"]
NetworkName = Literal[BackboneName, SegmenterName]
"""What a run config or a bundle names as its backbone."""
HeadName = Literal["pooled", "dense"]
"""What a slice network's logits come from: pooled features, or maps of the fracture line."""
FractureTarget = Literal["vertebra", "line"]
"""Definition of y_ij: fractured vertebra j is in view on slice i, or a box marks its line there."""
ChannelMode = Literal["grey", "windows", "neighbours"]
"""The three input channels: one grey slice repeated, three HU windows, or slices i-1, i, i+1."""

TaskName = Literal["vertebra", "fracture", "localization", "segmentation"]


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """Purpose of the networks of a task and the options of its runs.

    Attributes:
        title: Name of the task for display.
        gives: Kind of output.
        types: Available types of the method.
        max_lr: Default peak learning rate.
        heads: Available heads.
        backbones: Available backbones.
        channels: Available channel modes.
        defaults: Config fields whose default differs from that of other tasks.
    """

    title: str
    gives: Literal["presence", "fractures", "boxes", "labels"]
    types: tuple[int, ...]
    max_lr: float
    heads: tuple[HeadName, ...] = ("pooled",)
    backbones: tuple[NetworkName, ...] = get_args(BackboneName)
    channels: tuple[ChannelMode, ...] = get_args(ChannelMode)
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def title_of(self, type: int) -> str:
        """The title, with the type if the task has several."""
        return self.title if len(self.types) == 1 else f"{self.title}, Type {type}"


TASK_FACTS: Final[dict[TaskName, TaskFacts]] = {
    "vertebra": TaskFacts("Vertebra detection", "presence", (1, 2), 1e-3),
    "fracture": TaskFacts("Fracture detection", "fractures", (1, 2, 3), 1e-4, get_args(HeadName)),
    "localization": TaskFacts(
        "Fracture localisation by boxes", "boxes", (1,), 1e-3,
        backbones=("mobilenet_v3_large", "resnet50"), channels=("grey", "neighbours"),
    ),
    "segmentation": TaskFacts(
        "Segmentation of vertebrae", "labels", (1,), 2e-3,
        backbones=get_args(SegmenterName), channels=("grey",),
        # Voxels of 2 mm; below the window lies everything that is no bone, air included.
        defaults={
            "backbone": "unet3d", "size": 56, "field_mm": 112.0,
            "window_center": 650.0, "window_width": 1200.0,
        },
    ),
}  # fmt: skip
"""Facts by task; `core.training.trainer` defines how each is trained."""
