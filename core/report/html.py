"""A report as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import numpy as np

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.report import wording
from core.report.study import StudyReport
from core.system.html import render_page

_TEMPLATE: Final = Path(__file__).with_name("report.html")
_PROFILE: Final = {"left": 34, "right": 760, "height": 150}
"""Where p_i is drawn over the slices, in SVG units: 0 to 1 upwards, head to the left."""


def render_html(report: StudyReport) -> str:
    """Write a report as HTML; pictures are inside, nothing is fetched."""
    return render_page(
        _TEMPLATE,
        report=report,
        wording=wording,
        not_for_clinical_use=NOT_FOR_CLINICAL_USE,
        synthetic_warning=SYNTHETIC_WARNING,
        bars=_bars(report),
        threshold_y=round(_PROFILE["height"] * (1 - report.points["slice"].threshold), 2),
        pictures=[(one.caption, base64.b64encode(one.png).decode()) for one in report.pictures],
        origin=[
            *map(wording.bundle_line, report.bundles),
            *(wording.point_line(k.capitalize(), point) for k, point in report.points.items()),
        ],
        **_PROFILE,
    )


def _bars(report: StudyReport) -> list[tuple[str, str, str, str]]:
    """x, y, width and height of each slice's bar."""
    left, right, height = _PROFILE["left"], _PROFILE["right"], _PROFILE["height"]
    step = (right - left) / max(len(report.slice_probs), 1)
    return [
        (f"{left + i * step:.2f}", f"{height - p * height:.2f}", f"{max(step, 0.5):.2f}",
         f"{p * height:.2f}")
        for i, p in enumerate(report.slice_probs)
        if not np.isnan(p)
    ]  # fmt: skip
