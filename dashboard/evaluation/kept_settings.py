"""Settings that the user keeps, and how the others differ from the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from html import escape
from typing import Final

import streamlit as st

from core.evaluation.comparison import PairComparison, Setting, compare_settings
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.deferred import Pending, computing, deferred
from dashboard.evaluation.headline_rows import REPLICATES
from dashboard.evaluation.results import curve
from dashboard.evaluation.save_section import save_thresholds
from dashboard.evaluation.state import evaluation_view, keep_evaluation_view
from dashboard.evaluation.tables import difference_text, model_tag
from dashboard.evaluation.threshold_counts import pooled_figures, threshold_scores
from dashboard.evaluation.view import MOST_KEPT, KeptSetting, Thresholds, plain_name
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.session.wording import literal
from dashboard.widgets.frame import draw
from dashboard.widgets.html_table import html_table
from dashboard.widgets.job_status import poll

_METRICS: Final = (
    ("recall", "Recall"), ("specificity", "Specificity"), ("precision", "Precision"), ("f1", "F1"),
    ("accuracy", "Accuracy"),
)  # fmt: skip
_NAME: Final = "ev_keep_name"
_LETTERS: Final = "ABCDEF"


def kept_settings(comparison: ComparisonTable) -> None:
    """Let the user keep the active model's thresholds, and compare what is kept."""
    view = evaluation_view()
    shown = _shown(comparison, view.kept)
    with st.container(horizontal=True, vertical_alignment="bottom", key="ev_keep_bar"):
        full = len(view.kept) >= MOST_KEPT
        st.text_input(
            "Keep this setting as", key=_NAME, placeholder=_free_name(view.kept), width=190,
            disabled=full, max_chars=24,
        )  # fmt: skip
        st.button(
            "Keep", key="ev_keep", icon=":material/bookmark_add:", on_click=_keep,
            args=(comparison,), disabled=full,
            help=f"At most {MOST_KEPT} settings; the link holds them.",
        )  # fmt: skip
        for one in shown:
            with st.popover(literal(one.name)):
                st.button(
                    "Use it", key=f"ev_use_{one.name}", icon=":material/undo:",
                    on_click=_use, args=(one,),
                )  # fmt: skip
                _save_button(comparison, one)
                st.button(
                    "Forget it", key=f"ev_forget_{one.name}", icon=":material/delete:",
                    on_click=_forget, args=(one,),
                )  # fmt: skip
    if shown:
        _table(comparison, shown)


def _save_button(comparison: ComparisonTable, kept: KeptSetting) -> None:
    """Make a kept setting the operating point of its model, where that may be changed."""
    name = _name_of(comparison, kept)
    bundle = comparison.models[name].bundle
    if bundle is None or not may_change():
        return
    if st.button(
        "Save as the operating point", key=f"ev_save_{kept.name}", icon=":material/save:",
        help="Diagnosis, 3D and the reports of this installation use it then.",
    ):  # fmt: skip
        save_thresholds(comparison, name, bundle, kept.thresholds)


def _table(comparison: ComparisonTable, shown: Sequence[KeptSetting]) -> None:
    pairs = _differences(comparison, shown)
    waiting = isinstance(pairs, Pending)
    by_name = {} if waiting else {pair.first: pair for pair in pairs}
    headings = ["Setting", "Model", "Threshold", *(label for _, label in _METRICS)]
    rows = [_row(comparison, one, by_name.get(one.name)) for one in shown]
    draw(html_table(headings, rows, looks="lab-numbers lab-headline"))
    if len(shown) > 1:
        st.caption(
            f"Below each value: its difference from {literal(shown[0].name)} with the 95 % "
            "interval (the same patients resampled 1,000 times)."
        )
    if waiting:
        poll(computing, every=1.0)


def _row(comparison: ComparisonTable, kept: KeptSetting, pair: PairComparison | None) -> list[str]:
    name = _name_of(comparison, kept)
    counts = pooled_figures(comparison.at_level(name), kept.thresholds).counts
    cells: list[str] = []
    for metric, _ in _METRICS:
        text = f"<b>{getattr(counts, metric):.3f}</b>"
        if pair is not None:
            one = pair.differences[metric]
            text += f"<span>{difference_text(one.value, one.low, one.high)}</span>"
        cells.append(text)
    thresholds = " · ".join(f"{value:.3f}" for value in kept.thresholds)
    return [escape(kept.name), model_tag(name, comparison.styles[name]), thresholds, *cells]


def _differences(
    comparison: ComparisonTable, shown: Sequence[KeptSetting]
) -> tuple[PairComparison, ...] | Pending:
    models = [comparison.at_level(_name_of(comparison, one)) for one in shown]
    key = "|".join(["kept", *map(str, shown), *(model.key for model in models)])
    n = curve(models[0]).n * len(shown)
    return deferred(key, partial(_compared, comparison, tuple(shown)), items=n)


def _compared(
    comparison: ComparisonTable, shown: Sequence[KeptSetting]
) -> tuple[PairComparison, ...]:
    settings: list[Setting] = []
    for one in shown:
        model = comparison.at_level(_name_of(comparison, one))
        settings.append(Setting(one.name, *threshold_scores(model, one.thresholds)))
    metrics = [metric for metric, _ in _METRICS]
    return compare_settings(settings, metrics=metrics, replicates=REPLICATES)


def _shown(comparison: ComparisonTable, kept: Sequence[KeptSetting]) -> list[KeptSetting]:
    """Those of this level whose model is on the page."""
    known = {model.source_id for model in comparison.models.values()}
    level = comparison.question.level
    fits = [one for one in kept if one.level == level and one.model in known]
    whole = comparison.question.knows_vertebrae
    return [one for one in fits if whole or len(one.thresholds) == 1]


def _name_of(comparison: ComparisonTable, kept: KeptSetting) -> str:
    return next(n for n, model in comparison.models.items() if model.source_id == kept.model)


def _free_name(kept: Sequence[KeptSetting]) -> str:
    taken = {one.name for one in kept}
    return next((letter for letter in _LETTERS if letter not in taken), "")


def _keep(comparison: ComparisonTable) -> None:
    view = evaluation_view()
    focus = comparison.focus(view)
    thresholds: Thresholds = comparison.thresholds(view, focus)
    name = plain_name(str(state.recall(_NAME) or "")) or _free_name(view.kept)
    new = KeptSetting(name, view.level, comparison.models[focus].source_id, thresholds)
    others = tuple(one for one in view.kept if one.name != name)
    keep_evaluation_view(replace(view, kept=(*others, new)))
    state.remember(_NAME, "")


def _use(kept: KeptSetting) -> None:
    view = evaluation_view().with_moved(kept.model, kept.thresholds)
    many = len(kept.thresholds) > 1
    keep_evaluation_view(replace(view, focus=kept.model, by_vertebra=many))


def _forget(kept: KeptSetting) -> None:
    view = evaluation_view()
    keep_evaluation_view(replace(view, kept=tuple(one for one in view.kept if one != kept)))
