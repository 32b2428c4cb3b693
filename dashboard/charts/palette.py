"""Colours that mean something, one place for all pages; each reads on light and on dark."""

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
"""C1..C7, always the same.

Found by search: neighbours stay apart under protan, deutan and tritan vision (Machado et al.,
2009), luminance gives 3:1 on both backgrounds, and the amber of suspicion is left free.
"""

SUSPICION: Final = "#D9820F"
"""Fracture probability and calls; nothing else is amber."""

CURRENT: Final = "#10859A"
"""Where the reader is: the current slice, the current selection."""

NEUTRAL: Final = "#7F909E"


def with_alpha(color: str, alpha: float) -> str:
    """Return `#RRGGBB` as `rgba(...)` with the opacity `alpha` in [0, 1]."""
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"
