"""Choices of the Evaluation page: data, models, level, truth of a slice, cohort filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import streamlit as st

from core.constants import VERTEBRAE
from core.dataset.quality import FLAGS
from core.evaluation.tables.cohort_filter import StudyFacts
from core.inference.aggregation import POOLINGS
from core.models.bundles import BundleConfig, EnsembleConfig
from core.types import LevelName
from dashboard.evaluation.results import Evaluated, facts_of, folds_of
from dashboard.evaluation.sources import ENSEMBLE_ID, PredictionSource, Sources, TruthSource
from dashboard.evaluation.state import bound, evaluation_view, keep_evaluation_view
from dashboard.evaluation.view import KNOWN, LEVELS, EvaluationView
from dashboard.session import state
from dashboard.session.link import LinkError
from dashboard.widgets.palette import MODEL_COLORS

LEVEL_NAMES: Final[dict[LevelName, str]] = {
    "patient": "Patient",
    "vertebra": "Vertebra",
    "slice": "Slice",
    "presence": "Vertebra seen?",
}
POOLING_NAMES: Final = {
    "mean": "presence-weighted mean (the project's)",
    "max": "highest slice",
    "top_k": "mean of the 5 highest",
    "noisy_or": "noisy-or",
}
DEFINITION_NAMES: Final = {
    "visible": "a fractured vertebra is visible",
    "boxed": "the slice has a box",
}
_ALL: Final = "all"


def check_linked_names(view: EvaluationView, sources: Sources) -> None:
    """Check that the data and the models of a linked view exist.

    Raises:
        LinkError: One of them does not.
    """
    truths = [truth.truth_id for truth in sources.evaluable()]
    if view.data and view.data not in truths:
        raise LinkError("data", view.data, KNOWN["data"])
    data = view.data or _first_truth(sources, view).truth_id
    known = {model.source_id for model in sources.models_for(data)}
    shown = known | ({ENSEMBLE_ID} if view.ensemble else set())
    focus = (view.focus,) if view.focus else ()
    moved, weights = (tuple(model for model, _ in each) for each in (view.moved, view.weights))
    for name, ids, allowed in (
        ("models", view.models, known), ("weights", weights, known), ("focus", focus, shown),
        ("moved", moved, shown),
        # A kept setting of the ensemble outlasts it.
        ("kept", tuple(one.model for one in view.kept), known | {ENSEMBLE_ID}),
    ):  # fmt: skip
        for unknown in (source_id for source_id in ids if source_id not in allowed):
            raise LinkError(name, unknown, "there are no predictions of such a model for this data")


def choose_truth(sources: Sources) -> TruthSource:
    """Let the user choose the data; `sources` has something to evaluate."""
    view = evaluation_view()
    found = {truth.truth_id: truth for truth in sources.evaluable()}
    current = view.data if view.data in found else _first_truth(sources, view).truth_id
    bound(
        st.selectbox, "data", current, "Data", list(found),
        format_func=lambda truth_id: found[truth_id].label, on_change=_data_changed,
    )  # fmt: skip
    return found[current]


def _first_truth(sources: Sources, view: EvaluationView) -> TruthSource:
    """The first data that all models of the view have predictions for, else the first."""
    truths = sources.evaluable()
    fitting = (
        truth for truth in truths
        if set(view.models) <= {model.source_id for model in sources.models_for(truth.truth_id)}
    )  # fmt: skip
    return next(fitting, truths[0])


def choose_models(sources: Sources, truth: TruthSource) -> list[PredictionSource]:
    """Let the user choose models that have predictions for the truth."""
    view = evaluation_view()
    available = {model.source_id: model for model in sources.models_for(truth.truth_id)}
    plain = default_models(list(available.values()), view.level)
    chosen = [name for name in view.models if name in available] or plain
    bound(
        st.multiselect, "models", chosen, "Models", list(available),
        format_func=lambda name: available[name].label, max_selections=len(MODEL_COLORS),
        on_change=_models_changed, args=(plain,), placeholder="Choose at least one",
    )  # fmt: skip
    return [available[name] for name in chosen]


def default_models(available: Sequence[PredictionSource], level: LevelName) -> list[str]:
    """Ids of the models that suit a level, four at most.

    A bundle's predictions may come from two networks; bundles whose own outputs the level
    evaluates come first. Saved ensembles are left to the user.
    """
    fitting = [m for m in available if m.bundle is None or _fits(m.bundle.config, level)]
    return [model.source_id for model in (fitting or list(available))[:4]]


def _fits(config: BundleConfig, level: LevelName) -> bool:
    if isinstance(config, EnsembleConfig):
        # Saving one must not change what the page combines.
        return False
    return config.task == "vertebra" if level == "presence" else config.gives_fractures


def choose_level() -> None:
    """Let the user choose the level."""
    bound(
        st.segmented_control, "level", evaluation_view().level, "Level", LEVELS,
        format_func=LEVEL_NAMES.get, required=True,
        help="Patient: any of C1–C7 is fractured. Vertebra: this one is. Slice: this picture shows "
        "it. “Vertebra seen?” evaluates the vertebra network: is C1…C7 in this slice?",
    )  # fmt: skip


def choose_details() -> None:
    """Let the user choose how scores are pooled, or what makes a slice positive."""
    view = evaluation_view()
    if view.level == "slice":
        bound(
            st.selectbox, "definition", view.definition, "A slice is positive where",
            list(DEFINITION_NAMES), format_func=DEFINITION_NAMES.get,
        )  # fmt: skip
    elif view.level != "presence":
        bound(
            st.selectbox, "pooling", view.pooling, "Pooled over slices by", POOLINGS,
            format_func=POOLING_NAMES.get,
            help="How the scores of a vertebra's slices become one score of the vertebra.",
        )  # fmt: skip


def choose_cohort(truth: TruthSource, evaluated: Evaluated | None) -> None:
    """Let the user filter the studies; `evaluated` is None where they cannot be read."""
    view = evaluation_view()
    active = sum(
        bool(part) for part in (view.vertebra, view.spacing, view.without, view.fold is not None)
    )
    label = f"Cohort filter · {active}" if active else "Cohort filter"
    with st.popover(label, icon=":material/filter_alt:", width="stretch"):
        _choose_vertebra(view)
        _choose_fold(view, evaluated)
        facts = facts_of(truth)
        if facts is None:
            st.caption(
                "Filters by slice distance and quality flags need the index of the data root; run "
                "`python -m core index`."
            )
        else:
            _choose_spacing(view, facts)
            _choose_flags(view, facts)
        if active:
            st.button("Clear the filters", on_click=_clear_filters, key="ev_clear")


def _choose_vertebra(view: EvaluationView) -> None:
    bound(
        st.selectbox, "vertebra", view.vertebra, "Fractured studies", ["", *VERTEBRAE],
        format_func=lambda name: f"only with {name} fractured" if name else "all of them",
        help="Unfractured studies are kept, so that both classes remain.",
    )  # fmt: skip


def _choose_fold(view: EvaluationView, evaluated: Evaluated | None) -> None:
    folds = folds_of(evaluated) if evaluated is not None else []
    if view.fold is not None and view.fold not in folds:
        folds = sorted([*folds, view.fold])
    if not folds:
        return
    bound(
        st.selectbox, "fold", _ALL if view.fold is None else view.fold, "Fold of cross-validation",
        [_ALL, *folds], convert=lambda fold: None if fold == _ALL else fold,
        format_func=lambda fold: "all folds" if fold == _ALL else f"fold {fold}",
    )  # fmt: skip


def _choose_spacing(view: EvaluationView, facts: StudyFacts) -> None:
    known = facts.spacing_mm[np.isfinite(facts.spacing_mm)]
    if not len(known) or known.min() == known.max():
        return
    low, high = float(np.floor(known.min() * 20) / 20), float(np.ceil(known.max() * 20) / 20)
    shown = tuple(np.clip(view.spacing or (low, high), low, high).tolist())
    bound(
        st.slider, "spacing", shown, "Slice distance (mm)", low, high, step=0.05,
        convert=lambda ends: None if tuple(ends) == (low, high) else tuple(ends),
    )  # fmt: skip


def _choose_flags(view: EvaluationView, facts: StudyFacts) -> None:
    titles = {flag.column: flag.title for flag in FLAGS if facts.flags[flag.column].any()}
    if not titles:
        return
    bound(
        st.multiselect, "without", [flag for flag in view.without if flag in titles],
        "Leave out studies with", list(titles), format_func=titles.get, convert=tuple,
        placeholder="no quality flag",
    )  # fmt: skip


def _data_changed() -> None:
    view = evaluation_view()
    fresh = EvaluationView(data=state.recall("ev_data"), level=view.level, rule=view.rule)
    keep_evaluation_view(fresh)


def _models_changed(plain: list[str]) -> None:
    chosen = state.recall("ev_models")
    models = () if chosen == plain else tuple(chosen)
    view = evaluation_view()
    moved = tuple(pair for pair in view.moved if pair[0] in chosen)
    keep_evaluation_view(replace(view, models=models, moved=moved))


def _clear_filters() -> None:
    view = evaluation_view()
    keep_evaluation_view(replace(view, vertebra="", fold=None, spacing=None, without=(), moved=()))
