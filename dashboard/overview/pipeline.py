"""The method as a picture: five drawings in a row, in the colours of the current theme."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Final

from core.constants import VERTEBRAE
from core.visualization.colors import MEASURE_COLOR, SUSPICION, VERTEBRA_COLORS

_COLORS: Final = tuple(VERTEBRA_COLORS.values())


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the method.

    Attributes:
        title: Name of the step.
        text: Explanation in a line or two.
        drawing: SVG elements for a canvas of 200 × 130.
    """

    title: str
    text: str
    drawing: str


def pipeline_picture() -> str:
    """The picture as HTML with inline SVG."""
    stages = "".join(_figure(number, stage) for number, stage in enumerate(_stages(), start=1))
    return f'<div class="lab-pipeline" role="list">{stages}</div>'


def _figure(number: int, stage: Stage) -> str:
    return (
        '<figure class="lab-stage" role="listitem">'
        f'<svg viewBox="0 0 200 130" role="img" aria-label="{escape(stage.title)}">'
        f"{stage.drawing}</svg>"
        f"<figcaption><b><i>{number}</i>{escape(stage.title)}</b>"
        f"<span>{stage.text}</span></figcaption></figure>"
    )


def _unbroken(formula: str) -> str:
    """HTML of a formula that is not broken into lines."""
    return f'<span class="lab-nowrap">{formula}</span>'


def _stages() -> tuple[Stage, ...]:
    return (
        Stage(
            "CT series",
            "DICOM slices in Hounsfield units, ordered from the head down.",
            _slices(),
        ),
        Stage(
            "Window and resize",
            "A bone window maps HU to 0–255; the centre is resized for the networks.",
            _window(),
        ),
        Stage(
            "Two networks",
            "Per slice: which vertebrae are visible, <i>v<sub>ij</sub></i>, "
            "and whether there is a fracture, <i>f<sub>ij</sub></i>.",
            _networks(),
        ),
        Stage(
            "Along z",
            "The scores of all slices show where a fracture is suspected.",
            _profile(),
        ),
        Stage(
            "Vertebra and patient",
            _unbroken("<i>p<sub>j</sub></i> = Σ<sub>i</sub> <i>f v</i> / Σ<sub>i</sub> <i>v</i>")
            + " and "
            + _unbroken("<i>p</i> = 1 − Π<sub>j</sub> (1 − <i>p<sub>j</sub></i>)")
            + "; a threshold makes the call.",
            _scores(),
        ),
    )


def _slices() -> str:
    """Five tilted planes, the front one with a neck in cross-section."""
    planes = "".join(
        f'<path class="lab-plane" d="M{28 + 15 * k} {96 - 10 * k} l84 14 l0 -62 l-84 -14 z"/>'
        for k in range(4, -1, -1)
    )
    neck = (
        '<g transform="translate(70 72) skewY(9.5)">'
        '<ellipse class="lab-tissue" cx="0" cy="0" rx="33" ry="24"/>'
        '<path class="lab-bone" d="M-8 2 a8 7 0 1 1 16 0 a8 7 0 1 1 -16 0 z '
        'M-9 9 q9 12 18 0 l-3 7 l-6 6 l-6 -6 z"/>'
        '<ellipse class="lab-airway" cx="0" cy="-13" rx="5" ry="3.5"/></g>'
    )
    return f'<g transform="translate(0 12)">{planes}{neck}</g>'


def _window() -> str:
    """The ramp of the window over the HU axis, and the resulting grey levels."""
    greys = "".join(
        f'<rect x="{30 + 14 * k}" y="104" width="14" height="10" fill="currentColor" '
        f'opacity="{0.08 + 0.092 * k:.2f}"/>'
        for k in range(10)
    )
    return (
        '<path class="lab-axis" d="M30 18 V92 H172"/>'
        f'<path d="M30 92 H72 L128 24 H170" fill="none" stroke="{MEASURE_COLOR}" stroke-width="3" '
        'stroke-linejoin="round"/>'
        '<path class="lab-dash" d="M72 92 V18 M128 92 V18"/>'
        f'{greys}<text x="176" y="96" class="lab-svg-text">HU</text>'
        '<text x="8" y="26" class="lab-svg-text">255</text>'
        '<text x="18" y="96" class="lab-svg-text">0</text>'
    )


def _networks() -> str:
    """Two funnels of layers: one ends in seven dots, the other in one."""
    dots = "".join(
        f'<circle cx="{150 + 13 * (k % 3)}" cy="{16 + 13 * (k // 3)}" r="4.6" fill="{color}"/>'
        for k, color in enumerate(_COLORS)
    )
    return (
        '<path class="lab-flow" d="M14 65 H30 M30 65 Q38 65 38 52 V42 Q38 32 46 32 '
        'M30 65 Q38 65 38 78 V88 Q38 98 46 98 M124 32 H140 M124 98 H140"/>'
        f"{_layers(50, 32)}{_layers(50, 98)}{dots}"
        f'<circle cx="163" cy="98" r="9" fill="{SUSPICION}"/>'
        '<text x="50" y="72" class="lab-svg-text">vertebrae · fracture</text>'
    )


def _layers(x: int, y: int) -> str:
    heights = (46, 38, 30, 22, 14)
    return "".join(
        f'<rect class="lab-layer" x="{x + 15 * k}" y="{y - height / 2:g}" width="9" '
        f'height="{height}" rx="2.5"/>'
        for k, height in enumerate(heights)
    )


def _profile() -> str:
    """A probability curve over z with the seven extents below it."""
    points = " ".join(
        f"{20 + 2 * k},{82 - 8 * math.sin(k / 6) ** 2 - 52 * math.exp(-(((k - 47) / 7) ** 2)):.1f}"
        for k in range(81)
    )
    extents = "".join(
        f'<rect x="{22 + 22.5 * k:g}" y="{96 + 11 * (k % 2)}" width="25" height="8" rx="2" '
        f'fill="{color}"/>'
        for k, color in enumerate(_COLORS)
    )
    return (
        '<path class="lab-axis" d="M20 16 V86 H182"/>'
        f'<polygon points="20,86 {points} 180,86" fill="{SUSPICION}" opacity="0.18"/>'
        f'<polyline points="{points}" fill="none" stroke="{SUSPICION}" stroke-width="2.6"/>'
        f"{extents}"
    )


def _scores() -> str:
    """Seven bars with a threshold across, and the call."""
    probs = (0.18, 0.1, 0.14, 0.3, 0.86, 0.42, 0.16)
    bars = "".join(
        f'<rect x="{18 + 18 * k}" y="{96 - 76 * prob:.1f}" width="11" height="{76 * prob:.1f}" '
        f'rx="2" fill="{SUSPICION if prob > 0.5 else "currentColor"}" '
        f'opacity="{1 if prob > 0.5 else 0.32}"/>'
        f'<text x="{23.5 + 18 * k}" y="109" text-anchor="middle" class="lab-svg-small">'
        f"{name}</text>"
        for k, (name, prob) in enumerate(zip(VERTEBRAE, probs, strict=True))
    )
    return (
        f'{bars}<path class="lab-axis" d="M12 97 H148"/>'
        '<path class="lab-dash" d="M12 58 H150"/>'
        f'<circle cx="173" cy="58" r="17" fill="{SUSPICION}"/>'
        '<path d="M173 48 v11 M173 65 v1" stroke="#fff" stroke-width="4" stroke-linecap="round"/>'
    )
