"""The ensemble of the models shown, as one more model of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st

from core.errors import PredictionsError
from core.evaluation.built_ensemble import BuiltEnsemble, EnsembleChoice, build_ensemble
from core.evaluation.tables.evaluation_set import EvaluationSet
from core.models.ensemble_recipe import EnsembleMethod
from dashboard.evaluation.results import Evaluated, load_other
from dashboard.evaluation.sources import (
    ENSEMBLE_ID,
    ENSEMBLE_NAME,
    PredictionSource,
    Sources,
    TruthSource,
)
from dashboard.evaluation.view import EvaluationView

SOURCE: Final = PredictionSource(ENSEMBLE_ID, ENSEMBLE_NAME, "ensemble")
PLAIN_WEIGHT: Final = 1.0
"""Weight of a model that the user has not moved."""


@dataclass(frozen=True, slots=True, eq=False)
class ShownEnsemble:
    """The ensemble of the models shown.

    Attributes:
        built: Weights and scores.
        members: The models that it combines.
        evaluated: Models, the ensemble and truth of the studies shown.
        other: Name and content of other studies that weights and thresholds are chosen on; None
            where those are the studies shown.
    """

    built: BuiltEnsemble
    members: tuple[PredictionSource, ...]
    evaluated: Evaluated
    other: tuple[str, Evaluated] | None

    @property
    def source(self) -> PredictionSource:
        """The ensemble as a model of the page."""
        return SOURCE


def combined(
    sources: Sources, truth: TruthSource, models: Sequence[PredictionSource], evaluated: Evaluated,
    view: EvaluationView,
) -> ShownEnsemble:  # fmt: skip
    """Combine the models of a view, with weights fitted on other studies where they have some.

    Raises:
        PredictionsError: The level has no ensemble, there are fewer than two models, or the weights
            do not fit or cannot be fitted.
        DataRootError: The truth of the other studies cannot be read.
    """
    if not view.ensemble:
        raise PredictionsError("No method combines the models; choose one.")
    if view.level == "presence":
        raise PredictionsError("Networks are combined for fractures; choose another level.")
    choice = EnsembleChoice(view.ensemble, weights_of(models, view))
    other = None if view.same_data else load_other(sources.truths, truth, models, view.pooling)
    fit_on, judge_on = (evaluated, None) if other is None else (other[1], evaluated)
    key = f"{evaluated.key}|{fit_on.key}|{choice}"
    built = _built(key, fit_on.data, None if judge_on is None else judge_on.data, choice)
    chosen_on = None
    if other is not None:
        chosen_on = other[0], Evaluated(f"{key}|fit", built.chosen_on, fit_on.whole)
    judged = Evaluated(f"{key}|judged", built.judged, evaluated.whole)
    return ShownEnsemble(built, tuple(models), judged, chosen_on)


def weights_of(
    models: Sequence[PredictionSource], view: EvaluationView
) -> tuple[float, ...] | None:
    """Weights of the models that the user has set; None where they are fitted."""
    if not sets_weights(view.ensemble) or not view.weights:
        return None
    known = dict(view.weights)
    return tuple(known.get(model.source_id, PLAIN_WEIGHT) for model in models)


def sets_weights(method: EnsembleMethod | str) -> bool:
    """Whether a method's weights can be set by hand."""
    return method in ("log_odds", "rank")


@st.cache_resource(max_entries=4, show_spinner=False)
def _built(
    key: str, _fit_on: EvaluationSet, _judge_on: EvaluationSet | None, _choice: EnsembleChoice
) -> BuiltEnsemble:
    del key
    return build_ensemble(ENSEMBLE_NAME, _fit_on, _judge_on, _choice)
