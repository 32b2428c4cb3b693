"""Charts of the Evaluation page, each with a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.constants import VERTEBRAE
from core.evaluation.bands import curve_bands
from core.evaluation.calibration import Reliability, reliability
from core.evaluation.decision_curve import DecisionCurve, decision_curve
from core.evaluation.histogram import ScoreHistogram, score_histogram
from dashboard.evaluation.charts.calibration import calibration_figure
from dashboard.evaluation.charts.decision_curve import decision_figure
from dashboard.evaluation.charts.roc_pr import DrawnCurve, pr_figure, roc_figure
from dashboard.evaluation.charts.score_distribution import distribution_figure
from dashboard.evaluation.charts.small_multiples import small_multiples_figure
from dashboard.evaluation.comparison import ComparisonTable, drawn_curves
from dashboard.evaluation.deferred import Pending, deferred
from dashboard.evaluation.live_overlays import Slots
from dashboard.evaluation.page import section
from dashboard.evaluation.results import BY_KEY, ModelAtLevel, curve
from dashboard.evaluation.state import bound, evaluation_view
from dashboard.evaluation.tables import model_tag
from dashboard.evaluation.threshold_counts import WORDS
from dashboard.widgets.frame import draw
from dashboard.widgets.plot_area import CONFIG


def title(text: str, aid: str) -> None:
    """A chart's title and how to read it."""
    st.html(f'<div class="lab-panel-title">{text}<span>{aid}</span></div>')


def curve_section(comparison: ComparisonTable, slots: Slots) -> DeltaGenerator:
    """ROC and precision–recall, and beside them room for the board, which is returned."""
    curves = [with_band(comparison, drawn) for drawn in drawn_curves(comparison)]
    board, roc, precision = st.columns([6, 5, 5], gap="small")
    with roc:
        title("ROC: the cost of a higher recall", "Up and to the left is better.")
        slots.places["roc"] = _chart("ev_roc", roc_figure, curves, "ROC curves")
    with precision:
        title(
            "Precision–recall: is a call right?",
            "Up and to the right is better; dotted: chance.",
        )
        slots.places["precision"] = _chart("ev_pr", pr_figure, curves, "Precision–recall curves")
    return board.container(key="ev_bar")


def confusion_section(slots: Slots) -> None:
    """The confusion matrices, and every figure at the threshold."""
    title("Confusion matrix", "Shares of each row; red cells are errors.")
    slots.places["confusion"] = st.empty()
    title(
        "At the threshold",
        "Every figure follows the sliders. PPV and NPV: how often a call, or no call, is "
        "right at a prevalence.",
    )
    _prevalence()
    slots.places["metrics"] = st.empty()


def vertebra_section(comparison: ComparisonTable, slots: Slots) -> None:
    """Small multiples and the table of C1–C7."""
    section("Which vertebra?")
    question = comparison.question
    panels, table = st.columns([10, 9], gap="medium")
    with table:
        strata = question.level == "patient"
        title(
            "By vertebra, at the threshold",
            "Patients by fractured vertebra: which fractures lead to a call?"
            if strata
            else "Where are misses and false alarms?",
        )
        slots.places["vertebrae"] = st.empty()
    with panels:
        title(
            "C1–C7 one by one",
            "A vertebra with few fractures has a coarse curve: one step per fracture."
            + (" These curves use the scores of each vertebra." if strata else ""),
        )
        if not question.knows_vertebrae:
            st.html(
                '<div class="lab-blank">A box names no vertebra, so slices with boxes cannot '
                "be evaluated one vertebra at a time.</div>"
            )
            return
        slots.places["panels"] = _later(
            slots, "ev_panels", partial(panels_figure, comparison), "ROC curves of C1 to C7"
        )


def panels_figure(comparison: ComparisonTable) -> go.Figure:
    """ROC curves of C1..C7, one panel each."""
    return small_multiples_figure(
        {name: drawn_curves(comparison, j) for j, name in enumerate(VERTEBRAE)}
    )


def score_section(comparison: ComparisonTable, slots: Slots) -> None:
    """Score distributions, one chart per model."""
    title(
        "Scores of positives and negatives",
        "The less the two overlap, the better; scores right of the line are called.",
    )
    names = comparison.names
    per_row = min(len(names), 3)
    for first in range(0, len(names), per_row):
        for column, name in zip(st.columns(per_row), names[first : first + per_row], strict=False):
            with column:
                draw(model_tag(name, comparison.styles[name]))
                slots.distributions[name] = _later(
                    slots,
                    f"ev_scores_{comparison.models[name].source_id}",
                    partial(_distribution, comparison.at_level(name)),
                    f"Scores of {name}",
                )


def _distribution(model: ModelAtLevel) -> go.Figure:
    words = WORDS[model.question.level]
    return distribution_figure(_histogram(model), words.positives, words.negatives)


def trust_section(comparison: ComparisonTable, slots: Slots) -> None:
    """Calibration and decision curves."""
    calibration, decision = st.columns(2, gap="medium")
    with calibration:
        title(
            "Calibration: does 0.3 mean 30 %?",
            "On the diagonal, scores equal observed frequencies; below it, they are too high.",
        )
        _later(slots, "ev_calibration", partial(_calibration, comparison), "Reliability curves")
    with decision:
        title(
            "Decision curve: is acting on the model worth it?",
            "Above both grey lines the model is better than calling all or none, if a false alarm "
            "costs p : (1 − p) of a miss.",
        )
        slots.places["decision"] = _later(
            slots, "ev_decision", partial(_decisions, comparison), "Decision curves"
        )


def _calibration(comparison: ComparisonTable) -> go.Figure:
    found = {name: _reliability(comparison.at_level(name)) for name in comparison.names}
    return calibration_figure(found, comparison.styles)


def _decisions(comparison: ComparisonTable) -> go.Figure:
    curves = {name: _decision(comparison.at_level(name)) for name in comparison.names}
    return decision_figure(curves, comparison.styles)


def with_band(comparison: ComparisonTable, drawn: DrawnCurve) -> DrawnCurve:
    """The curve with its band, once computed."""
    model = comparison.at_level(drawn.name)
    band = deferred(f"band|{model.key}", lambda: curve_bands(model.items()), items=drawn.points.n)
    return drawn if isinstance(band, Pending) else replace(drawn, band=band)


def _chart(
    key: str, figure: Callable[[list[DrawnCurve]], go.Figure], curves: list[DrawnCurve], alt: str
) -> DeltaGenerator:
    """Draw a chart and return the slot over it."""
    with st.container(key=f"{key}_stack"):
        if curves:
            st.plotly_chart(figure(curves), config=CONFIG, key=key, alt=alt)
        else:
            st.html('<div class="lab-blank">One class only: there is no curve to draw.</div>')
        return st.empty()


def _later(slots: Slots, key: str, figure: Callable[[], go.Figure], alt: str) -> DeltaGenerator:
    """Reserve room for a chart that is drawn later, and return the slot over it."""
    with st.container(key=f"{key}_stack"):
        room = st.empty()
        over = st.empty()

    def work() -> None:
        room.plotly_chart(figure(), config=CONFIG, key=key, alt=alt)

    slots.later.append(work)
    return over


def _prevalence() -> None:
    share = evaluation_view().prevalence
    bound(
        st.number_input, "prevalence", None if share is None else 100 * share,
        "Prevalence for PPV and NPV, %", 0.01, 99.99, None, step=0.5, format="%.2f",
        placeholder="as in the data", width=240, keep_moved=True,
        convert=lambda percent: None if percent is None else round(percent / 100, 6),
    )  # fmt: skip


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _histogram(model: ModelAtLevel) -> ScoreHistogram:
    found = model.items()
    return score_histogram(found.scores, found.truth)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _reliability(model: ModelAtLevel) -> Reliability:
    found = model.items()
    return reliability(found.scores, found.truth, bins=10, binning="equal count")


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _decision(model: ModelAtLevel) -> DecisionCurve:
    return decision_curve(curve(model))
