"""An ensemble from fit to judgement: chosen on some studies, judged on others or out of fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from core.errors import PredictionsError
from core.evaluation.comparison import PairComparison
from core.evaluation.curves import threshold_counts
from core.evaluation.ensemble_weights import with_weights
from core.evaluation.ensembles import (
    add_model,
    compare_with_members,
    ensemble_table,
    fit_out_of_fold,
)
from core.evaluation.intervals import bootstrap_intervals
from core.evaluation.tables.evaluation_set import EvaluationSet
from core.evaluation.thresholds import Rule, choose_threshold
from core.inference.ensemble import Combination
from core.models.ensemble_recipe import EnsembleMethod
from core.types import FloatArray, LevelName

LEVELS: Final[tuple[LevelName, ...]] = ("patient", "vertebra", "slice")
"""Levels at which an ensemble is compared with its members."""
BY_HAND: Final = "set by hand"
N_FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class EnsembleChoice:
    """How the weights are chosen.

    Attributes:
        method: The method.
        weights: One per model; None to fit them.
        non_negative: Whether a weight of the stacking must not be negative.
        folds: Folds of the fit.
    """

    method: EnsembleMethod = "log_odds"
    weights: tuple[float, ...] | None = None
    non_negative: bool = True
    folds: int = N_FOLDS


@dataclass(frozen=True, slots=True, eq=False)
class BuiltEnsemble:
    """An ensemble with the studies that it was chosen and judged on.

    Attributes:
        name: Name of the ensemble.
        combination: Method and weights for other studies.
        fold_weights: float64 (folds, M), weights of each fold's fit; None where they were given.
        chosen_on: Members and the ensemble on the studies of the fit, its scores out of fold where
            weights were fitted.
        judged: The same on the studies that it is judged on.
        own_studies: Whether those are the studies of the fit.
    """

    name: str
    combination: Combination
    fold_weights: FloatArray | None
    chosen_on: EvaluationSet
    judged: EvaluationSet
    own_studies: bool

    @property
    def weights_from(self) -> str:
        """Where the weights are from, as a clause."""
        if self.fold_weights is None:
            return BY_HAND
        return f"fitted on {self.chosen_on.truth.n_studies:,} studies"

    @property
    def judged_as(self) -> str:
        """How it is judged, as a sentence."""
        n = self.judged.truth.n_studies
        if self.fold_weights is None:
            return f"Judged on {n:,} studies at weights that were {BY_HAND}."
        if self.own_studies:
            return (
                f"Judged out of fold on {n:,} studies: each is scored by weights fitted on the "
                f"studies of the other {len(self.fold_weights) - 1} folds."
            )
        return f"Judged on {n:,} studies that its weights were not fitted on."

    def comparisons(
        self, *, replicates: int = 1000, seed: int = 0
    ) -> dict[LevelName, tuple[PairComparison, ...]]:
        """Ensemble minus each member at each level that all of them have."""
        return {
            level: compare_with_members(
                self.judged, self.name, level, replicates=replicates, seed=seed
            )
            for level in self._levels(self.judged)
        }

    def operating_points(self, rule: Rule | None = None) -> dict[str, dict[str, Any]]:
        """Thresholds by level that a rule chooses on the studies of the fit; highest F1 if None."""
        found: dict[str, dict[str, Any]] = {}
        for level in self._levels(self.chosen_on):
            items = self.chosen_on.items(self.name, level)
            curve = threshold_counts(items.scores, items.truth)
            if not curve.one_class:
                point = choose_threshold(curve, rule or Rule())
                # A rule that calls nothing gives a threshold above every score.
                found[level] = {"threshold": min(point.threshold, 1.0), "rule": point.rule}
        return found

    def figures(self, comparisons: Mapping[LevelName, Sequence[PairComparison]]) -> dict[str, Any]:
        """AUC and differences by level as JSON values, for `metrics.json`."""
        found: dict[str, Any] = {}
        for level, pairs in comparisons.items():
            items = self.judged.items(self.name, level)
            interval = bootstrap_intervals(
                items.scores, items.truth, items.patients, threshold=0.5, metrics=("auc",)
            )["auc"]
            found[level] = {
                "n": len(items.scores),
                "n_patients": len(np.unique(items.patients)),
                "auc": threshold_counts(items.scores, items.truth).auc(),
                "interval": None if interval is None else [interval.low, interval.high],
                "minus_members": {pair.second: _difference(pair) for pair in pairs},
            }
        return found

    def _levels(self, evaluated: EvaluationSet) -> list[LevelName]:
        names = [model.name for model in evaluated.models]
        return [
            level
            for level in LEVELS
            if all(evaluated.unsupported(name, level) is None for name in names)
        ]


def build_ensemble(
    name: str, fit_on: EvaluationSet, judge_on: EvaluationSet | None, choice: EnsembleChoice
) -> BuiltEnsemble:
    """Choose the weights of an ensemble of all models of a set, and score the studies by it.

    Args:
        name: Name of the ensemble.
        fit_on: Models and studies for the weights.
        judge_on: The same models on other studies; None to judge on the studies of the fit, by
            out-of-fold scores where the weights are fitted.
        choice: Method, and weights if they are given.

    Raises:
        PredictionsError: As the parts describe, or the two sets do not have the same models.
    """
    names = [model.name for model in fit_on.models]
    if judge_on is not None and [model.name for model in judge_on.models] != names:
        raise PredictionsError(
            "An ensemble is judged with the models that it was fitted with; give the same ones."
        )
    if choice.weights is not None:
        combination = with_weights(fit_on.models, choice.method, choice.weights)
        own, fold_weights = ensemble_table(name, fit_on.models, combination), None
    else:
        fitted = fit_out_of_fold(
            name, fit_on, choice.method, folds=choice.folds, non_negative=choice.non_negative
        )
        combination, own, fold_weights = fitted.combination, fitted.table, fitted.weights
    chosen_on = add_model(fit_on, own)
    judged = chosen_on
    if judge_on is not None:
        judged = add_model(judge_on, ensemble_table(name, judge_on.models, combination))
    return BuiltEnsemble(name, combination, fold_weights, chosen_on, judged, judge_on is None)


def _difference(pair: PairComparison) -> dict[str, Any]:
    if pair.delong is None:
        return {"auc": None, "low": None, "high": None, "p": None, "adjusted_p": None}
    return {
        "auc": pair.delong.difference,
        "low": pair.delong.low,
        "high": pair.delong.high,
        "p": pair.delong.p_value,
        "adjusted_p": pair.delong_adjusted_p,
    }
