"""Controls of the Localization page: localiser, fusion of raw boxes, minimum score."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import streamlit as st

from core.inference.boxes.fusion import ScoreRule
from core.inference.boxes.tracks import FusionMethod, FusionSettings
from core.models.bundles import BundleInfo
from dashboard.session import link, state
from dashboard.studies.cohort import bundle_detail, bundle_key, bundle_title
from dashboard.studies.localizer import default_threshold, localizers
from dashboard.widgets.frame import blank
from dashboard.widgets.threshold_slider.slider import threshold_slider

METHODS: Final[dict[FusionMethod, str]] = {
    "wbf": "Weighted fusion", "nms": "NMS", "soft-nms": "Soft-NMS", "none": "None",
}  # fmt: skip
RULES: Final[dict[ScoreRule, str]] = {"maximum": "Highest", "average": "Mean"}
_START: Final = FusionSettings()


@dataclass(frozen=True, slots=True)
class _Number:
    """A slider: label, range, step, first value and help."""

    label: str
    low: float
    high: float
    step: float
    start: float
    help: str


SCORE: Final = "loc_score"
"""Key of the minimum score, and the name that what follows it in the browser knows."""
_SCORE_HELP: Final = (
    "Boxes with a lower score are neither drawn nor counted. Starts at the operating point, which "
    "was chosen on other studies."
)
_NUMBERS: Final = {
    "loc_iou": _Number(
        "Fusion IoU", 0.1, 0.9, 0.05, _START.iou,
        "Boxes that overlap by more are merged. For soft-NMS: the width of its Gaussian.",
    ),
    "loc_skip": _Number(
        "Skip raw boxes below", 0.03, 0.6, 0.01, _START.skip_below,
        "Raw boxes with a lower score are ignored.",
    ),
    "loc_neighbours": _Number(
        "Weight of neighbouring slices", 0.0, 1.0, 0.1, _START.neighbour_weight,
        "Weight of the boxes above and below; the slice itself has weight 1. Weighted fusion only.",
    ),
}  # fmt: skip
_PARAMETERS: Final = {
    "loc_bundle": "localiser", "loc_method": "fusion", "loc_rule": "score_rule",
    SCORE: "min_score", "loc_iou": "iou", "loc_skip": "skip", "loc_neighbours": "neighbours",
}  # fmt: skip
"""Query parameter of each control, by its key."""
_SCORED: Final = "_loc_scored"


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
    """Draw the controls of the boxes behind a button; None without a localiser.

    Raises:
        LinkError: The URL has a wrong value.
    """
    found = localizers()
    if not found:
        blank(
            "There is no localisation bundle. To train one: "
            "<code>python -m core demo-localizer</code>."
        )
        return None
    names = {bundle_key(bundle): bundle for bundle in found}
    _enter(names)
    used = names[state.recall("loc_bundle")]
    _enter_score(used)
    with st.popover(
        f"{bundle_title(used)} · {METHODS[state.recall('loc_method')]}",
        key="loc_controls", icon=":material/frame_inspect:",
        help="The localiser, and how its raw boxes are merged",
    ):  # fmt: skip
        bundle = names[_localizer(names)]
        settings = _fusion()
    for key, parameter in _PARAMETERS.items():
        link.show(parameter, str(state.recall(key)))
    return BoxChoice(bundle, settings, float(state.recall(SCORE)))


def score_slider(chosen: BoxChoice) -> None:
    """Draw the slider of the minimum score.

    Args:
        chosen: Settings of the other controls.
    """
    with st.container(key="loc_numbers", width=340):
        threshold_slider(
            "Minimum score", name=SCORE, value=chosen.threshold, help=_SCORE_HELP,
            on_release=partial(state.remember, SCORE), source=chosen.bundle.config.weights_sha256,
        )  # fmt: skip


def _localizer(names: Mapping[str, BundleInfo]) -> str:
    return st.selectbox(
        "Localiser", list(names), key="loc_bundle", persist_state="session",
        format_func=lambda key: f"{bundle_title(names[key])} · {bundle_detail(names[key])}",
    )  # fmt: skip


def _fusion() -> FusionSettings:
    method = st.segmented_control(
        "Fusion", list(METHODS), required=True, key="loc_method", persist_state="session",
        format_func=lambda one: METHODS[one],
        help="Weighted fusion averages overlapping boxes of both passes and of neighbouring "
        "slices; NMS keeps the best and drops the rest; soft-NMS lowers the rest.",
    )  # fmt: skip
    rule = st.segmented_control(
        "Score of a fused box", list(RULES), required=True, persist_state="session",
        key="loc_rule", format_func=lambda one: RULES[one], disabled=method != "wbf",
        help="Weighted fusion only. The mean, as in the paper, favours boxes that all passes "
        "and slices agree on; with the highest, one confident pass is enough.",
    )  # fmt: skip
    iou, skip, neighbours = (
        st.slider(
            one.label, one.low, one.high, step=one.step, key=key, help=one.help,
            persist_state="session", format="%.2f",
        )
        for key, one in _NUMBERS.items()
    )  # fmt: skip
    return FusionSettings(
        method=method or "wbf",
        iou=iou,
        score_rule=rule or _START.score_rule,
        skip_below=skip,
        neighbour_weight=neighbours,
    )


def _enter(names: Mapping[str, BundleInfo]) -> None:
    """Give the controls the values in the URL, or their first ones."""
    known = {"loc_bundle": names, "loc_method": METHODS, "loc_rule": RULES}
    start = {"loc_bundle": next(iter(names)), "loc_method": "wbf", "loc_rule": _START.score_rule}
    for key, values in known.items():
        parameter, there = _PARAMETERS[key], ", ".join(values)
        link.check(parameter, _among(values), f"there are {there}")
        link.choose(key, parameter, _among(values), start[key])
        if state.recall(key) not in values:
            state.remember(key, start[key])
    ranges = {SCORE: (0.0, 1.0, None)}
    ranges |= {key: (one.low, one.high, one.start) for key, one in _NUMBERS.items()}
    for key, (low, high, first) in ranges.items():
        parameter, read = _PARAMETERS[key], partial(link.number, low=low, high=high)
        link.check(parameter, read, f"it is a number from {low:g} to {high:g}")
        link.choose(key, parameter, read, first)


def _enter_score(bundle: BundleInfo) -> None:
    """Start the minimum score at the operating point of another localiser; Back restores one."""
    digest = bundle.config.weights_sha256
    other = state.recall(_SCORED, digest) != digest and not link.came_back()
    if state.recall(SCORE) is None or other:
        state.remember(SCORE, default_threshold(bundle))
    state.remember(_SCORED, digest)


def _among(known: Collection[str]) -> Callable[[str], str | None]:
    return lambda text: text if text in known else None
