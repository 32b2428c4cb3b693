"""Effect of calibrating the scores and of pooling slices in another way."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Final

import streamlit as st

from core.errors import PredictionsError
from core.evaluation.calibration_fits import Method, cross_fit
from core.evaluation.intervals import Interval
from core.evaluation.poolings import pooling_effects
from dashboard.evaluation.choices import POOLING_NAMES
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.deferred import Pending, deferred
from dashboard.evaluation.results import curve
from dashboard.evaluation.tables import model_tag
from dashboard.widgets.frame import draw
from dashboard.widgets.html_table import html_table

METHODS: Final[tuple[Method, ...]] = ("temperature", "isotonic")


@st.fragment
def more_section(comparison: ComparisonTable) -> None:
    """Draw two tables that are computed on request."""
    if st.toggle("Effect of calibration", key="ev_fits"):
        st.caption(
            "Each patient’s scores are corrected by a fit on the other patients (five folds). "
            "Temperature keeps the order of scores; isotonic may merge some. Lower is better."
        )
        draw(_fits_table(comparison))
    pooled = comparison.question.level in ("patient", "vertebra")
    if pooled and st.toggle("Effect of the pooling over slices", key="ev_poolings"):
        st.caption("AUC with its 95 % interval for each pooling of the slice scores.")
        draw(_pooling_table(comparison))


def _fits_table(comparison: ComparisonTable) -> str:
    headings = (
        "Model", "Fit", "ECE before", "ECE after", "Brier before", "Brier after", "Temperature",
    )  # fmt: skip
    rows = [
        [model_tag(name, comparison.styles[name]), method, *_fit_cells(comparison, name, method)]
        for name in comparison.names
        for method in METHODS
    ]
    return html_table(headings, rows)


def _fit_cells(comparison: ComparisonTable, name: str, method: Method) -> list[str]:
    model = comparison.at_level(name)
    key = f"fit|{model.key}|{method}"
    try:
        found = deferred(key, lambda: cross_fit(model.items(), method), items=curve(model).n)
    except PredictionsError as error:
        return [escape(str(error))]
    if isinstance(found, Pending):
        return ["being computed; switch off and on"]
    before, after = found.before, found.after
    errors = (before.expected_error, after.expected_error, before.brier, after.brier)
    temperature = "–" if found.temperature is None else f"{found.temperature:.3f}"
    return [*(f"{value:.4f}" for value in errors), temperature]


def _pooling_table(comparison: ComparisonTable) -> str:
    evaluated = comparison.evaluated
    work = partial(pooling_effects, evaluated.data)
    n = evaluated.data.truth.n_studies * 7
    found = deferred(f"poolings|{evaluated.key}", work, items=n * len(comparison.names))
    if isinstance(found, Pending):
        return '<p class="lab-muted">Being computed; switch off and on.</p>'
    rows = [
        [
            model_tag(effect.model, comparison.styles[effect.model]),
            POOLING_NAMES[effect.pooling],
            _area(effect.vertebra_auc, effect.vertebra_interval),
            _area(effect.patient_auc, effect.patient_interval),
        ]
        for effect in found
        if effect.model in comparison.models
    ]
    return html_table(("Model", "Pooling", "Vertebra AUC", "Patient AUC"), rows)


def _area(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "–"
    ends = "" if interval is None else f" ({interval.low:.3f}–{interval.high:.3f})"
    return f"{value:.3f}{ends}"
