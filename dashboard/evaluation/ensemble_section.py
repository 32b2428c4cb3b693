"""Ensemble of the models shown: method, weights, comparison with its members, saving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import streamlit as st

from core.evaluation.comparison import PairComparison
from core.evaluation.ensembles import compare_with_members
from core.models.ensemble_recipe import METHOD_NAMES, METHODS
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.deferred import Pending, computing, deferred
from dashboard.evaluation.disagreement import disagreement
from dashboard.evaluation.ensemble import PLAIN_WEIGHT, ShownEnsemble, sets_weights
from dashboard.evaluation.ensemble_saving import save_ensemble_form
from dashboard.evaluation.headline import p_text
from dashboard.evaluation.headline_rows import REPLICATES
from dashboard.evaluation.page import folded
from dashboard.evaluation.results import curve
from dashboard.evaluation.sources import ENSEMBLE_ID, ENSEMBLE_NAME, PredictionSource
from dashboard.evaluation.state import bound, control, evaluation_view, keep_evaluation_view
from dashboard.evaluation.tables import model_tag
from dashboard.session import state
from dashboard.session.wording import literal
from dashboard.widgets.frame import draw
from dashboard.widgets.html_table import html_table
from dashboard.widgets.job_status import poll
from dashboard.widgets.notices import show_error

_NAMES: Final = {"": "None", **{method: METHOD_NAMES[method].capitalize() for method in METHODS}}
_HAND: Final = "ev_weights_by_hand"


def ensemble_section(comparison: ComparisonTable) -> None:
    """Draw the folded section; open while an ensemble is on the page."""
    view = evaluation_view()
    members = [m for name, m in comparison.models.items() if name != ENSEMBLE_NAME]
    if view.level == "presence" or len(members) < 2:
        return
    panel = folded(
        "Do the models agree, and are they better together?", "ensemble",
        expanded=bool(view.ensemble),
    )  # fmt: skip
    if not panel.open:
        return
    with panel:
        _choose(members)
        if comparison.ensemble is not None:
            _judgement(comparison, comparison.ensemble)
            save_ensemble_form(comparison, comparison.ensemble)
        elif view.ensemble:
            for problem in comparison.problems:
                if problem.startswith(f"{ENSEMBLE_NAME}: "):
                    show_error(problem)
        disagreement(comparison)


def _choose(members: Sequence[PredictionSource]) -> None:
    view = evaluation_view()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        bound(
            st.segmented_control, "ensemble", view.ensemble, "Combine the models by",
            list(_NAMES), format_func=_NAMES.get, required=True, on_change=_switch_method,
            help="Log-odds mean: the weighted mean of the log odds. Rank mean: of the ranks among "
            "reference scores, for models with different scales. Logistic stacking: a logistic "
            "regression on the log odds. All act on the scores of slices and vertebrae.",
        )  # fmt: skip
        if sets_weights(view.ensemble):
            control(_HAND, "hand" if view.weights else "fitted")
            st.segmented_control(
                "Weights", ["fitted", "hand"], key=_HAND, required=True,
                format_func=lambda key: "By hand" if key == "hand" else "Fitted",
                on_change=_switch_weights, args=(members,),
            )  # fmt: skip
    if sets_weights(view.ensemble) and view.weights:
        _sliders(members)


def _switch_method() -> None:
    view = evaluation_view()
    method = state.recall("ev_ensemble")
    # Without an ensemble a link cannot name it as the active model.
    focus = view.focus if method or view.focus != ENSEMBLE_ID else ""
    keep_evaluation_view(replace(view, ensemble=method, focus=focus, moved=()))


def _switch_weights(members: Sequence[PredictionSource]) -> None:
    by_hand = state.recall(_HAND) == "hand"
    weights = tuple(sorted((one.source_id, PLAIN_WEIGHT) for one in members)) if by_hand else ()
    keep_evaluation_view(replace(evaluation_view(), weights=weights))


def _sliders(members: Sequence[PredictionSource]) -> None:
    known = dict(evaluation_view().weights)
    for column, one in zip(st.columns(len(members), gap="medium"), members, strict=True):
        key = f"ev_weight_{one.source_id}"
        control(key, known.get(one.source_id, PLAIN_WEIGHT))
        with column:
            st.slider(
                literal(one.label), 0.0, 1.0, step=0.05, key=key, on_change=_weigh,
                args=(one.source_id, key),
            )  # fmt: skip


def _weigh(model: str, key: str) -> None:
    view = evaluation_view()
    weights = dict(view.weights) | {model: float(state.recall(key))}
    keep_evaluation_view(replace(view, weights=tuple(sorted(weights.items()))))


def _judgement(comparison: ComparisonTable, ensemble: ShownEnsemble) -> None:
    """Say how the ensemble is judged, and draw its differences from the members."""
    built = ensemble.built
    where = (
        ""
        if ensemble.other is None
        else f" Weights: {built.weights_from} of “{ensemble.other[0]}”."
    )
    st.caption(literal(f"{built.judged_as}{where if built.fold_weights is not None else ''}"))
    pairs = _pairs(comparison)
    draw(_table(comparison, ensemble, () if isinstance(pairs, Pending) else pairs))
    st.caption(
        "Ensemble minus model at the level shown, with the 95 % interval: AUC by DeLong’s test, "
        f"the others by {REPLICATES:,} resamples of the patients. p is adjusted over the models by "
        "Holm’s method."
    )
    if isinstance(pairs, Pending):
        poll(computing, every=1.0)


def _pairs(comparison: ComparisonTable) -> tuple[PairComparison, ...] | Pending:
    evaluated, question = comparison.evaluated, comparison.question
    shown = tuple(model for model in evaluated.data.models if model.name in comparison.models)
    work = partial(
        compare_with_members, replace(evaluated.data, models=shown), ENSEMBLE_NAME, question.level,
        definition=question.definition, replicates=REPLICATES,
    )  # fmt: skip
    n = curve(comparison.at_level(ENSEMBLE_NAME)).n
    return deferred(f"ensemble|{evaluated.key}|{question}", work, items=n * len(shown))


def _table(
    comparison: ComparisonTable, ensemble: ShownEnsemble, pairs: Sequence[PairComparison]
) -> str:
    by_name = {pair.second: pair for pair in pairs}
    headings = (
        "Model", "Weight", "AUC difference", "Average precision difference",
        ("Brier difference", "Below 0 the ensemble is better."),
    )  # fmt: skip
    rows = [
        [
            model_tag(one.label, comparison.styles[one.label]),
            _weight(ensemble, k),
            *_cells(by_name.get(one.label)),
        ]
        for k, one in enumerate(ensemble.members)
    ]
    return html_table(headings, rows, looks="lab-numbers lab-headline")


def _weight(ensemble: ShownEnsemble, place: int) -> str:
    built = ensemble.built
    text = f"<b>{built.combination.weights[place]:.2f}</b>"
    if built.fold_weights is None:
        return text
    folds = built.fold_weights[:, place]
    return f"{text}<span>{folds.min():.2f}–{folds.max():.2f} over the folds</span>"


def _cells(pair: PairComparison | None) -> list[str]:
    if pair is None:
        return ["…"] * 3
    auc, others = pair.delong, pair.differences
    by_delong = (None, None, None) if auc is None else (auc.difference, auc.low, auc.high)
    return [
        _cell(*by_delong, pair.delong_adjusted_p),
        *(
            _cell(one.value, one.low, one.high, one.adjusted_p)
            for one in (others["average_precision"], others["brier"])
        ),
    ]


def _cell(value: float | None, low: float | None, high: float | None, p: float | None) -> str:
    """A difference, and below it its interval and the adjusted p."""
    if value is None or low is None or high is None:
        return "–"
    return f"<b>{value:+.3f}</b><span>{low:+.3f} to {high:+.3f}, p {p_text(p)}</span>"
