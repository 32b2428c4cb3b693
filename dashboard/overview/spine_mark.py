"""Logo of the Overview: seven cervical vertebrae from the side, in their fixed colours."""

from __future__ import annotations

from html import escape

from core.visualization.colors import SUSPICION, VERTEBRA_COLORS

_PLACES = ((104, 24, -14), (95, 60, -10), (90, 97, -5), (88, 134, 0), (89, 171, 5), (94, 208, 10),
           (103, 245, 16))  # fmt: skip
"""Centre (px) and tilt (degrees) of each vertebral body: the cervical lordosis."""


def spine_mark(*, suspected: str = "C5") -> str:
    """The cervical spine as inline SVG, one vertebra fractured.

    Args:
        suspected: Name of the fractured vertebra.
    """
    bodies = "".join(
        _vertebra(name, color, place, cracked=name == suspected)
        for (name, color), place in zip(VERTEBRA_COLORS.items(), _PLACES, strict=True)
    )
    label = escape(f"Cervical spine from the side, {suspected} marked")
    return (
        f'<svg class="lab-spine" viewBox="0 0 222 276" role="img" aria-label="{label}">'
        f"{bodies}</svg>"
    )


def _vertebra(name: str, color: str, place: tuple[int, int, int], *, cracked: bool) -> str:
    x, y, tilt = place
    reach = {"C1": 34, "C2": 56, "C7": 84}.get(name, 58 + 3 * int(name[1]))
    strokes = (("#0c2133", 6), (SUSPICION, 3)) if cracked else ()
    crack = "".join(
        f'<path d="M-24 -2 l9 5 l6 -8 l9 9 l8 -6 l15 6" fill="none" stroke="{ink}" '
        f'stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round"/>'
        for ink, width in strokes
    )
    tone = f'fill="{SUSPICION}" fill-opacity="1" font-weight="700"' if cracked else ""
    return (
        f'<text x="{x - 44}" y="{y + 5}" text-anchor="end" class="lab-spine-text" {tone}>{name}'
        f'</text><g transform="translate({x} {y}) rotate({tilt})">'
        f'<path d="M27 -8 L{reach - 8} 1 q10 5 2 11 L38 8 q-8 2 -11 -2 z" fill="{color}" '
        'opacity="0.6"/>'
        f'<rect x="-27" y="-14" width="54" height="28" rx="8" fill="{color}"/>{crack}</g>'
    )
