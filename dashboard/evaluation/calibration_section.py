"""What else could be done with the scores: calibrate them, pool slices in another way."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Final

import streamlit as st

from core.errors import PredictionsError
from core.evaluation.calibration_fits import CrossFitted, Method, TemperatureFit, cross_fit
from core.evaluation.intervals import Interval
from core.evaluation.poolings import PoolingEffect, pooling_effects
from dashboard.evaluation.choices import POOLING_NAMES
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.deferred import Pending, deferred
from dashboard.evaluation.results import curve, items
from dashboard.evaluation.tables import model_tag
from dashboard.widgets.frame import draw

METHODS: Final[tuple[Method, ...]] = ("temperature", "isotonic")


@st.fragment
def more_section(comparison: ComparisonTable) -> None:
    """Two tables that are computed when the reader asks for them."""
    if st.toggle("What would calibration bring?", key="ev_fits"):
        st.caption(
            "Each patient’s scores are mended by a fit on the other patients (five folds). "
            "Temperature keeps the order of scores; isotonic may merge some. Lower is better."
        )
        draw(_fits_table(comparison))
    pooled = comparison.question.level in ("patient", "vertebra")
    if pooled and st.toggle("What does the pooling over slices do?", key="ev_poolings"):
        st.caption("AUC with its 95 % interval for every way to make one score of many slices.")
        draw(_pooling_table(comparison))


def _fits_table(comparison: ComparisonTable) -> str:
    rows = ""
    for name in comparison.names:
        for method in METHODS:
            rows += _fit_row(comparison, name, method)
    return (
        '<div class="lab-scroll"><table class="lab-table lab-numbers"><thead><tr><th>Model</th>'
        "<th>Fit</th><th>ECE before</th><th>ECE after</th><th>Brier before</th><th>Brier after"
        f"</th><th>Temperature</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _fit_row(comparison: ComparisonTable, name: str, method: Method) -> str:
    lead = f"<tr><td>{model_tag(name, comparison.styles[name])}</td><td>{method}</td>"
    evaluated, question = comparison.evaluated, comparison.question

    def work() -> CrossFitted:
        return cross_fit(items(evaluated, name, question), method)

    counts = curve(evaluated, name, question)
    try:
        found = deferred(
            f"fit|{evaluated.key}|{question}|{name}|{method}", work,
            items=counts.n_positive + counts.n_negative,
        )  # fmt: skip
    except PredictionsError as error:
        return f'{lead}<td colspan="5">{escape(str(error))}</td></tr>'
    if isinstance(found, Pending):
        return f'{lead}<td colspan="5">being computed; switch off and on</td></tr>'
    fit = found.fit
    temperature = f"{fit.temperature:.3f}" if isinstance(fit, TemperatureFit) else "–"
    return (
        f"{lead}<td>{found.before.expected_error:.4f}</td><td>{found.after.expected_error:.4f}</td>"
        f"<td>{found.before.brier:.4f}</td><td>{found.after.brier:.4f}</td><td>{temperature}</td>"
        "</tr>"
    )


def _pooling_table(comparison: ComparisonTable) -> str:
    evaluated = comparison.evaluated
    work = partial(pooling_effects, evaluated.data)
    n = evaluated.data.truth.n_studies * 7
    found = deferred(f"poolings|{evaluated.key}", work, items=n * len(comparison.names))
    if isinstance(found, Pending):
        return '<p class="lab-muted">Being computed; switch off and on.</p>'
    rows = "".join(
        f"<tr><td>{model_tag(effect.model, comparison.styles[effect.model])}</td>"
        f"<td>{POOLING_NAMES[effect.pooling]}</td>{_areas(effect)}</tr>"
        for effect in found
        if effect.model in comparison.models
    )
    return (
        '<div class="lab-scroll"><table class="lab-table lab-numbers"><thead><tr><th>Model</th>'
        "<th>Pooling</th><th>Vertebra AUC</th><th>Patient AUC</th></tr></thead><tbody>"
        f"{rows}</tbody></table></div>"
    )


def _areas(effect: PoolingEffect) -> str:
    pairs = (
        (effect.vertebra_auc, effect.vertebra_interval),
        (effect.patient_auc, effect.patient_interval),
    )
    return "".join(f"<td>{_area(value, interval)}</td>" for value, interval in pairs)


def _area(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "–"
    ends = "" if interval is None else f" ({interval.low:.3f}–{interval.high:.3f})"
    return f"{value:.3f}{ends}"
