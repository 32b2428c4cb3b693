"""The sliders of the Localization page: how raw boxes become boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import streamlit as st

from core.inference.boxes.fusion import ScoreRule
from core.inference.boxes.tracks import FusionMethod, FusionSettings
from core.models.bundles import BundleInfo
from dashboard.studies.localizer import default_threshold, localizers

METHODS: Final[dict[FusionMethod, str]] = {
    "wbf": "Weighted fusion", "nms": "NMS", "soft-nms": "Soft-NMS", "none": "None",
}  # fmt: skip
RULES: Final[dict[ScoreRule, str]] = {"maximum": "Highest", "average": "Mean"}
_START: Final = FusionSettings()


@dataclass(frozen=True, slots=True)
class BoxChoice:
    """What the reader chose.

    Attributes:
        bundle: The localiser.
        settings: Of the fusion.
        threshold: Score from which a box is shown and counted.
    """

    bundle: BundleInfo
    settings: FusionSettings
    threshold: float


def box_controls() -> BoxChoice | None:
    """Let the reader choose a localiser and move its sliders; None where there is none."""
    found = localizers()
    if not found:
        st.html(
            '<div class="lab-blank">No localisation bundle is there. Train one: '
            "<code>python -m core demo-localizer</code>.</div>"
        )
        return None
    names = {bundle.config.name: bundle for bundle in found}
    with st.container(key="loc_controls", horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Localiser", list(names), key="loc_bundle", width=280)
        method = st.segmented_control(
            "Fusion", list(METHODS), default="wbf", required=True, key="loc_method",
            format_func=lambda one: METHODS[one],
            help="Weighted fusion averages overlapping boxes of both passes and of neighbouring "
            "slices; NMS keeps the best and drops the rest; soft-NMS lowers the rest.",
        )  # fmt: skip
        rule = st.segmented_control(
            "Score of a fused box", list(RULES), default=_START.score_rule, required=True,
            key="loc_rule", format_func=lambda one: RULES[one], disabled=method != "wbf",
            help="Weighted fusion only. The mean, as in the paper, rewards boxes that all passes "
            "and slices agree on; the highest lets one sure pass stand for itself.",
        )  # fmt: skip
    bundle = names[name]
    columns = st.columns(4, gap="medium")
    with columns[0]:
        threshold = st.slider(
            "Score from", 0.0, 1.0, round(default_threshold(bundle), 2), 0.01, key="loc_score",
            help="Boxes below are neither drawn nor counted. Starts at the operating point, "
            "chosen on other studies.",
        )  # fmt: skip
    with columns[1]:
        iou = st.slider(
            "Fusion IoU", 0.1, 0.9, _START.iou, 0.05, key="loc_iou",
            help="Boxes that overlap by more are taken for one thing. For soft-NMS the width of "
            "its Gaussian.",
        )  # fmt: skip
    with columns[2]:
        skip = st.slider(
            "Skip raw boxes below", 0.03, 0.6, _START.skip_below, 0.01, key="loc_skip",
            help="Raw boxes of a lower score do not take part.",
        )  # fmt: skip
    with columns[3]:
        neighbours = st.slider(
            "Say of slices above and below", 0.0, 1.0, _START.neighbour_weight, 0.1,
            key="loc_neighbours", help="Weight beside the slice's own 1; weighted fusion only.",
        )  # fmt: skip
    settings = FusionSettings(
        method=cast("FusionMethod", method or "wbf"),
        iou=iou,
        score_rule=cast("ScoreRule", rule or _START.score_rule),
        skip_below=skip,
        neighbour_weight=neighbours,
    )
    return BoxChoice(bundle, settings, threshold)
