"""Overlays of the slice viewer: masks, boxes and heat maps, each with a name and an opacity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.constants import MASK_LABELS
from core.prepared.planes import reduce_labels
from core.types import BoxPrediction, CTVolume
from core.visualization.colors import (
    HEAT_STOPS,
    PREDICTED_BOX_COLOR,
    TRUE_BOX_COLOR,
    TRUE_LINE_COLOR,
    VERTEBRA_COLORS,
)
from dashboard.studies.served_bytes import PIXELS, PixelSource


@dataclass(frozen=True, slots=True, eq=False)
class MaskOverlay:
    """Labelled voxels, drawn in one colour per label on all planes.

    Attributes:
        name: Name in the legend.
        labels: uint8 (z, y, x) on the grid of the study, 0 background; or a function that returns
            it, called when the browser first requests it.
        colors: `#RRGGBB` by label; a label without a colour is not drawn.
        label_names: Names in the legend, by label.
        content: Digest of the content of `labels`, such as fingerprint and name of the mask.
        opacity: Initial opacity in [0, 1].
        shown: Whether it is drawn at first.
    """

    name: str
    labels: NDArray[np.uint8] | Callable[[], NDArray[np.uint8]]
    colors: Mapping[int, str]
    label_names: Mapping[int, str]
    content: str
    opacity: float = 0.4
    shown: bool = True

    def payload(self, volume: CTVolume, owner: str | None) -> dict[str, Any]:
        """Register the voxels and return the description for the browser."""
        labels = self.labels

        def whole() -> NDArray[np.uint8]:
            return labels() if callable(labels) else labels

        source = PixelSource(
            slices=lambda i: whole()[i],
            n_slices=volume.n_slices,
            planes=lambda: reduce_labels(whole(), volume),
            owner=owner,
        )
        return {
            "kind": "mask",
            "source": PIXELS.register(f"mask {self.content}", source),
            "colors": {str(label): color for label, color in self.colors.items()},
            "labels": {str(label): name for label, name in self.label_names.items()},
        } | _shared(self)


@dataclass(frozen=True, slots=True, eq=False)
class BoxOverlay:
    """Boxes on axial slices.

    Attributes:
        name: Name in the legend.
        boxes: `xyxy` in pixels of the slice; 0 is the outer edge of the first pixel.
        color: `#RRGGBB`.
        scores: Whether the score is written at each box.
        dashed: Whether the line is dashed, so that two kinds differ without colour.
        opacity: As in `MaskOverlay`.
        shown: As in `MaskOverlay`.
        least: Name of a threshold slider and where it stands: boxes with a lower score are not
            drawn, in the browser while it is dragged; None draws all.
    """

    name: str
    boxes: Sequence[BoxPrediction]
    color: str
    scores: bool = False
    dashed: bool = False
    opacity: float = 1.0
    shown: bool = True
    least: tuple[str, float] | None = None

    def payload(self, volume: CTVolume, owner: str | None) -> dict[str, Any]:
        """Return the description for the browser."""
        del volume, owner
        return {
            "kind": "boxes",
            "color": self.color,
            "scores": self.scores,
            "dashed": self.dashed,
            "least": self.least and {"name": self.least[0], "score": self.least[1]},
            "boxes": [
                [box.slice_index, *(round(float(edge), 2) for edge in box.xyxy), box.score]
                for box in self.boxes
            ],
        } | _shared(self)


@dataclass(frozen=True, slots=True, eq=False)
class HeatOverlay:
    """Heat maps of single axial slices, such as Grad-CAM's.

    Attributes:
        name: Name in the legend.
        maps: float (h, w) in [0, 1] of the slice's size, by slice index; 0 is not drawn.
        content: Digest of the content of `maps`, such as study, bundle, slice and vertebra.
        opacity: As in `MaskOverlay`.
        shown: As in `MaskOverlay`.
    """

    name: str
    maps: Mapping[int, NDArray[np.floating[Any]]]
    content: str
    opacity: float = 0.55
    shown: bool = True

    def payload(self, volume: CTVolume, owner: str | None) -> dict[str, Any]:
        """Register the maps and return the description for the browser.

        Raises:
            ValueError: The size of a map differs from that of the slices.
        """
        size = volume.hu.shape[1:]
        for index, heat in self.maps.items():
            if heat.shape != size:
                raise ValueError(f"The heat map of slice {index} is {heat.shape}, not {size}.")
        maps = dict(self.maps)
        source = PixelSource(
            slices=lambda i: np.rint(np.clip(maps[i], 0, 1) * 255).astype(np.uint8),
            n_slices=volume.n_slices,
            owner=owner,
        )
        return {
            "kind": "heat",
            "source": PIXELS.register(f"heat {self.content}", source),
            "slices": sorted(maps),
            "stops": list(HEAT_STOPS),
        } | _shared(self)


Overlay = MaskOverlay | BoxOverlay | HeatOverlay


def vertebra_mask(
    labels: NDArray[np.uint8] | Callable[[], NDArray[np.uint8]],
    content: str,
    *,
    name: str = "Vertebrae",
    shown: bool = True,
) -> MaskOverlay:
    """C1 to C7 in their fixed colours.

    Args:
        labels: uint8 (z, y, x), labels as `load_vertebra_mask` returns them, or a function that
            returns them.
        content: Digest of the content of `labels`.
        name: As in `MaskOverlay`, like `shown`.
        shown: Whether they are drawn at first.
    """
    names = {label: name for name, label in MASK_LABELS.items()}
    colors = {label: VERTEBRA_COLORS[name] for label, name in names.items()}
    return MaskOverlay(name, labels, colors, names, f"vertebrae {content}", shown=shown)


def fracture_mask(
    labels: NDArray[np.uint8] | Callable[[], NDArray[np.uint8]], content: str
) -> MaskOverlay:
    """The fracture lines of a synthetic study, label 1; arguments as for `vertebra_mask`."""
    return MaskOverlay(
        "Fracture lines",
        labels,
        {1: TRUE_LINE_COLOR},
        {1: "synthetic truth"},
        f"fracture {content}",
        opacity=0.7,
    )


def true_boxes(boxes: Sequence[BoxPrediction]) -> BoxOverlay:
    """Boxes of the data set."""
    return BoxOverlay("True boxes", boxes, TRUE_BOX_COLOR, dashed=True)


def predicted_boxes(
    boxes: Sequence[BoxPrediction], least: tuple[str, float] | None = None
) -> BoxOverlay:
    """Boxes of a localiser, with their scores; `least` as in `BoxOverlay`."""
    return BoxOverlay("Predicted boxes", boxes, PREDICTED_BOX_COLOR, scores=True, least=least)


def _shared(overlay: Overlay) -> dict[str, Any]:
    return {"name": overlay.name, "opacity": overlay.opacity, "shown": overlay.shown}
