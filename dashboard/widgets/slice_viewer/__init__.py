"""The CT viewer of every page that shows a slice; `docs/pages/viewer.md` shows how to use it."""

from dashboard.widgets.slice_viewer.overlays import (
    BoxOverlay,
    HeatOverlay,
    MaskOverlay,
    Overlay,
    fracture_mask,
    predicted_boxes,
    true_boxes,
    vertebra_mask,
)
from dashboard.widgets.slice_viewer.ribbon import Ribbon
from dashboard.widgets.slice_viewer.viewer import slice_viewer

__all__ = [
    "BoxOverlay",
    "HeatOverlay",
    "MaskOverlay",
    "Overlay",
    "Ribbon",
    "fracture_mask",
    "predicted_boxes",
    "slice_viewer",
    "true_boxes",
    "vertebra_mask",
]
