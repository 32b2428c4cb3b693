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
"""Fracture probability and calls; nothing else is amber."""
TRUE_BOX_COLOR: Final = "#2FBF71"
PREDICTED_BOX_COLOR: Final = "#F2A93B"
BONE_COLOR: Final = "#E3D9C3"
UNKNOWN_COLOR: Final = "#8FA1AE"
"""A vertebra that is none of C1..C7."""
