"""Controls of the Localization page: localiser, fusion of raw boxes, minimum score."""

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
    """The settings of the controls.

    Attributes:
        bundle: The localiser.
        settings: Settings of the fusion.
        threshold: Minimum score of a box to be shown and counted.
    """

    bundle: BundleInfo
    settings: FusionSettings
    threshold: float


def box_controls() -> BoxChoice | None:
    """Draw the controls; None without a localiser."""
    found = localizers()
    if not found:
        st.html(
            '<div class="lab-blank">There is no localisation bundle. To train one: '
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
            help="Weighted fusion only. The mean, as in the paper, favours boxes that all passes "
            "and slices agree on; with the highest, one confident pass is enough.",
        )  # fmt: skip
    bundle = names[name]
    columns = st.columns(4, gap="medium")
    with columns[0]:
        threshold = st.slider(
            "Minimum score", 0.0, 1.0, round(default_threshold(bundle), 2), 0.01, key="loc_score",
            help="Boxes with a lower score are neither drawn nor counted. Starts at the operating "
            "point, which was chosen on other studies.",
        )  # fmt: skip
    with columns[1]:
        iou = st.slider(
            "Fusion IoU", 0.1, 0.9, _START.iou, 0.05, key="loc_iou",
            help="Boxes that overlap by more are merged. For soft-NMS: the width of its Gaussian.",
        )  # fmt: skip
    with columns[2]:
        skip = st.slider(
            "Skip raw boxes below", 0.03, 0.6, _START.skip_below, 0.01, key="loc_skip",
            help="Raw boxes with a lower score are ignored.",
        )  # fmt: skip
    with columns[3]:
        neighbours = st.slider(
            "Weight of neighbouring slices", 0.0, 1.0, _START.neighbour_weight, 0.1,
            key="loc_neighbours",
            help="Weight of the boxes above and below; the slice itself has weight 1. Weighted "
            "fusion only.",
        )  # fmt: skip
    settings = FusionSettings(
        method=cast("FusionMethod", method or "wbf"),
        iou=iou,
        score_rule=cast("ScoreRule", rule or _START.score_rule),
        skip_below=skip,
        neighbour_weight=neighbours,
    )
    return BoxChoice(bundle, settings, threshold)
