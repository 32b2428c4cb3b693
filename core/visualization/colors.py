"""Colours with a meaning in every scene and on every page, as `#RRGGBB`."""

from __future__ import annotations

from typing import Final

from core.constants import VERTEBRAE

VERTEBRA_COLORS: Final[dict[str, str]] = dict(
    zip(
        VERTEBRAE,
        ("#91489B", "#819B05", "#4B61DC", "#B85C6E", "#688BFC", "#626D0F", "#BF7FB6"),
        strict=True,
    )
)
"""Fixed colours of C1..C7.

Found by search: neighbours stay distinguishable under protan, deutan and tritan vision (Machado
et al., 2009), contrast is 3:1 on light and dark backgrounds, and amber is reserved for suspicion.
"""

SUSPICION: Final = "#D9820F"
"""Fracture probability and calls; no other data are amber or near it."""
TRUE_BOX_COLOR: Final = "#2FBF71"
TRUE_LINE_COLOR: Final = "#F2187B"
"""Fracture lines of a synthetic study."""
PREDICTED_BOX_COLOR: Final = "#A98BFF"
POSITIVE_COLOR: Final = "#B0307A"
"""Items that are positive in truth, in charts of their scores."""
MEASURE_COLOR: Final = "#1E78B4"
"""Measures of the one model that a chart shows."""
HEAT_STOPS: Final = ("#1B0C41", "#5A1A80", "#A62A8B", "#E0619B", "#FBD9E0")
"""Colours of a heat map from low to high, evenly spaced."""
BONE_COLOR: Final = "#E3D9C3"
UNKNOWN_COLOR: Final = "#8FA1AE"
"""A vertebra that is none of C1..C7."""

DATA_COLORS: Final[dict[str, str]] = {
    "true_boxes": TRUE_BOX_COLOR,
    "predicted_boxes": PREDICTED_BOX_COLOR,
    "fractures": TRUE_LINE_COLOR,
    "unknown": UNKNOWN_COLOR,
}
"""Colours of what a scene shows, by the names that the viewer in the browser uses."""
