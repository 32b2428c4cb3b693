"""Ensembles of models: weights given or fitted, out-of-fold scores, comparison with the members.

Models that all have slices are combined slice by slice, v_ij and f_ij, and every other score
follows from these as for one model. Otherwise their p_j are combined, and p = 1 - prod_j (1 - p_j).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.dataset.splits import grouped_folds
from core.errors import PredictionsError
from core.evaluation.arrays import rows_of_studies
from core.evaluation.comparison import PairComparison, Setting, compare_settings
from core.evaluation.levels import DEFAULT_THRESHOLD
from core.evaluation.tables.evaluation_set import Coverage, EvaluationSet, SliceTruth
from core.evaluation.tables.score_table import (
    NO_FOLD,
    ScoreTable,
    table_from_slices,
    table_without_slices,
)
from core.inference.aggregation import patient_scores
from core.inference.context import SEEN, log_odds, rising_fit
from core.inference.ensemble import (
    Combination,
    RankReference,
    combine,
    combine_outputs,
    shared_type,
)
from core.models.ensemble_recipe import EnsembleMethod
from core.types import FloatArray, LevelName

ENSEMBLE_METRICS: Final = ("auc", "average_precision", "brier")
"""Compared with the members; none depends on a threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """An ensemble whose every study is scored by weights fitted on the other folds.

    Attributes:
        table: Scores with the fold of each study.
        combination: The fit on all studies, for others.
        weights: float64 (folds, M), weights of each fold's fit.
    """

    table: ScoreTable
    combination: Combination
    weights: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Scores that weights are fitted to; each vertebra of a study counts once.

    Attributes:
        scores: M arrays float64 (k,).
        truth: bool (k,), y_j.
        studies: int64 (k,), index of the study.
        counts: float64 (k,), 1 / number of rows of the same vertebra of the same study.
    """

    scores: tuple[FloatArray, ...]
    truth: NDArray[np.bool_]
    studies: NDArray[np.int64]
    counts: FloatArray

    def of(self, chosen: NDArray[np.bool_]) -> _Rows:
        """The rows where `chosen` (k,) is True."""
        scores = tuple(one[chosen] for one in self.scores)
        return _Rows(scores, self.truth[chosen], self.studies[chosen], self.counts[chosen])


def have_slices(models: Sequence[ScoreTable]) -> bool:
    """Whether models can be combined slice by slice."""
    first = models[0]
    return all(
        model.presence is not None and np.array_equal(model.offsets, first.offsets)
        for model in models
    )


def with_weights(
    models: Sequence[ScoreTable], method: EnsembleMethod, weights: Sequence[float]
) -> Combination:
    """A combination with given weights; a rank mean takes its references from these scores.

    Raises:
        PredictionsError: There are fewer than two models, the weights do not fit, or the method is
            stacking, whose weights are fitted.
    """
    _check_models(models, weights)
    if method == "stacking":
        raise PredictionsError("The weights of the stacking are fitted; choose a mean to set them.")
    references: tuple[RankReference, ...] = ()
    if method == "rank":
        references = tuple(map(RankReference.of, _rows(models).scores))
    return Combination(method, tuple(map(float, weights)), references=references)


def fit_weights(
    evaluated: EvaluationSet, method: EnsembleMethod, *, non_negative: bool = True
) -> Combination:
    """Fit the weights by logistic regression of y_j on the models' scores.

    The features are the log odds of the scores, for the rank mean their ranks. Rows are the slices
    in which a vertebra is seen, weighted so that every vertebra of a study counts once; without
    slices, the vertebrae. The means take the slopes, none negative, divided by their sum.

    Args:
        evaluated: Models and truth.
        method: The method.
        non_negative: For the stacking, whether a slope must not be negative, so that a higher score
            of a model never lowers that of the ensemble.

    Raises:
        PredictionsError: There are fewer than two models, one class only, or no model's score rises
            with the truth.
    """
    _check_models(evaluated.models, evaluated.models)
    return _fitted(_rows(evaluated.models, evaluated.truth.fractured), method, non_negative)


def fit_out_of_fold(
    name: str, evaluated: EvaluationSet, method: EnsembleMethod, *, folds: int = 5, seed: int = 0,
    non_negative: bool = True,
) -> OutOfFold:  # fmt: skip
    """Score every study by weights fitted on the studies of the other folds.

    Fractured and unfractured studies are spread evenly over the folds; all rows of a study are in
    one.

    Args:
        name: Name of the ensemble.
        evaluated: Models and truth.
        method: The method.
        folds: Number of folds.
        seed: Seed of the folds.
        non_negative: As for `fit_weights`.

    Raises:
        PredictionsError: As `fit_weights`, or there are fewer studies than folds.
    """
    models = evaluated.models
    _check_models(models, models)
    n = evaluated.truth.n_studies
    if folds < 2 or n < folds:
        raise PredictionsError(
            f"{n} studies cannot be split into {folds} folds; take at least two folds and as many "
            "studies."
        )
    rows = _rows(models, evaluated.truth.fractured)
    fractured = np.asarray(evaluated.truth.fractured.any(axis=1))
    fold_of = grouped_folds(np.arange(n), fractured, folds, seed)
    fitted = [
        _fitted(rows.of(fold_of[rows.studies] != fold), method, non_negative)
        for fold in range(folds)
    ]
    parts = [(np.flatnonzero(fold_of == fold), one) for fold, one in enumerate(fitted)]
    return OutOfFold(
        table=_table(name, models, parts, fold_of.astype(np.int16)),
        combination=_fitted(rows, method, non_negative),
        weights=np.array([one.weights for one in fitted]),
    )


def ensemble_table(name: str, models: Sequence[ScoreTable], combination: Combination) -> ScoreTable:
    """Scores of an ensemble of models of the same studies.

    Args:
        name: Name of the ensemble.
        models: M tables of an `EvaluationSet`.
        combination: Method and weights.

    Raises:
        PredictionsError: The weights do not fit the models.
    """
    _check_models(models, combination.weights)
    used = np.flatnonzero(combination.weights).tolist()
    if combination.method != "stacking" and len(used) == 1:
        return replace(models[used[0]], name=name)
    return _table(name, models, [(np.arange(models[0].n_studies), combination)], None)


def add_model(evaluated: EvaluationSet, table: ScoreTable) -> EvaluationSet:
    """The same studies with one more model.

    Raises:
        PredictionsError: Its name is taken.
    """
    if table.name in {model.name for model in evaluated.models}:
        raise PredictionsError("Two models have the same name; rename one of them.")
    return replace(
        evaluated,
        models=(*evaluated.models, table),
        coverage=(*evaluated.coverage, Coverage(table.name)),
    )


def compare_with_members(
    evaluated: EvaluationSet,
    name: str,
    level: LevelName,
    thresholds: Mapping[str, float] | None = None,
    *,
    definition: SliceTruth = "vertebra visible",
    metrics: Sequence[str] = ENSEMBLE_METRICS,
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[PairComparison, ...]:
    """Compare the ensemble with every other model, on the same draws of patients.

    Args:
        evaluated: The ensemble, its members, and truth.
        name: Name of the ensemble.
        level: The level.
        thresholds: By model name; 0.5 where missing. Only McNemar's test uses them.
        definition: Definition of slice truth.
        metrics: Some of `COMPARED_METRICS`.
        replicates: Bootstrap replicates over patients.
        seed: Seed of the bootstrap.

    Returns:
        One comparison per member, "ensemble minus member", with p-values adjusted over the members
        by Holm's method.

    Raises:
        PredictionsError: The level is not supported.
    """
    at = thresholds or {}
    names = [name, *(model.name for model in evaluated.models if model.name != name)]
    settings: list[Setting] = []
    for one in names:
        items = evaluated.items(one, level, definition=definition)
        settings.append(Setting(one, items, items.scores, at.get(one, DEFAULT_THRESHOLD)))
    return compare_settings(
        settings, metrics=metrics, replicates=replicates, seed=seed, first_minus_others=True
    )


def _check_models(models: Sequence[ScoreTable], weights: Sequence[Any]) -> None:
    if len(models) < 2:
        raise PredictionsError("An ensemble needs two models or more; choose another one too.")
    if len(weights) != len(models):
        raise PredictionsError(
            f"{len(weights)} weights do not fit {len(models)} models; give one each."
        )


def _rows(models: Sequence[ScoreTable], fractured: NDArray[np.bool_] | None = None) -> _Rows:
    """Rows of the fit; without truth, the same rows with False."""
    n = models[0].n_studies
    truth = np.zeros((n, N_VERTEBRAE), np.bool_) if fractured is None else fractured
    if not have_slices(models):
        studies = np.repeat(np.arange(n), N_VERTEBRAE)
        scores = tuple(model.vertebra_scores.ravel() for model in models)
        return _Rows(scores, truth.ravel(), studies, np.ones(len(studies)))
    outputs = [_slices_of(model, slice(None)) for model in models]
    seen = np.mean([presence for presence, _ in outputs], axis=0) >= SEEN
    row, vertebra = np.nonzero(seen)
    if not len(row):
        raise PredictionsError("No vertebra is seen in any slice; predict the studies again.")
    studies = np.repeat(np.arange(n), np.diff(models[0].offsets))[row]
    cell = studies * N_VERTEBRAE + vertebra
    return _Rows(
        tuple(_at(fracture, row, vertebra) for _, fracture in outputs),
        truth[studies, vertebra],
        studies,
        1.0 / np.bincount(cell)[cell],
    )


def _at(
    fracture: NDArray[np.float32], row: NDArray[np.intp], vertebra: NDArray[np.intp]
) -> FloatArray:
    """f_ij of some rows, float64; a Type 1 model has one column."""
    return fracture[row, np.minimum(vertebra, fracture.shape[1] - 1)].astype(np.float64)


def _fitted(rows: _Rows, method: EnsembleMethod, non_negative: bool) -> Combination:
    if rows.truth.all() or not rows.truth.any():
        raise PredictionsError(
            "Weights cannot be fitted to studies of one class; take fractured and unfractured ones."
        )
    references: tuple[RankReference, ...] = ()
    if method == "rank":
        references = tuple(map(RankReference.of, rows.scores))
        features = [r.rank(s) for r, s in zip(references, rows.scores, strict=True)]
    else:
        features = [log_odds(one) for one in rows.scores]
    x = np.stack(features, axis=1)
    if method == "stacking" and not non_negative:
        slopes, intercept = _free_fit(x, rows)
    else:
        slopes, intercept = rising_fit(x, rows.truth, rows.counts)
    if not slopes.any():
        raise PredictionsError(
            "No model's score rises with the truth of these studies; choose other models."
        )
    if method == "stacking":
        return Combination(method, tuple(slopes.tolist()), intercept)
    return Combination(method, tuple((slopes / slopes.sum()).tolist()), references=references)


def _free_fit(x: FloatArray, rows: _Rows) -> tuple[FloatArray, float]:
    # Importing scikit-learn takes a second; a page that fits nothing does not pay for it.
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000).fit(x, rows.truth, sample_weight=rows.counts)
    return np.asarray(model.coef_[0], np.float64), float(np.asarray(model.intercept_)[0])


def _table(
    name: str, models: Sequence[ScoreTable], parts: Sequence[tuple[NDArray[np.intp], Combination]],
    fold: NDArray[np.int16] | None,
) -> ScoreTable:  # fmt: skip
    """Scores by combinations that each apply to some studies."""
    first = models[0]
    if not have_slices(models):
        scores = np.empty((first.n_studies, N_VERTEBRAE))
        for places, combination in parts:
            scores[places] = combine([m.vertebra_scores[places] for m in models], combination)
        table = table_without_slices(name, first.study_ids, scores, patient_scores(scores))
        return table if fold is None else replace(table, fold=fold)
    presence = np.empty((first.n_slices, N_VERTEBRAE), np.float32)
    fracture = np.empty((first.n_slices, N_VERTEBRAE), np.float32)
    kinds: set[int] = set()
    for places, combination in parts:
        # All rows are taken as a view instead of a copy.
        whole = len(places) == first.n_studies
        rows = slice(None) if whole else rows_of_studies(first.offsets, places)
        v, f = zip(*(_slices_of(model, rows) for model in models), strict=True)
        types = [model.fracture_type or 0 for model in models]
        presence[rows], fracture[rows], kind = combine_outputs(v, f, types, combination)
        kinds.add(kind)
    return table_from_slices(
        name, first.study_ids, first.offsets, presence, fracture,
        shared_type(kinds),
        fold=_known_fold(first) if fold is None else fold, pooling=first.pooling or "mean",
    )  # fmt: skip


def _slices_of(
    model: ScoreTable, rows: NDArray[np.int64] | slice
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if model.presence is None or model.fracture is None:
        raise PredictionsError(f"{model.name} has no slices; combine vertebra scores instead.")
    return model.presence[rows], model.fracture[rows]


def _known_fold(table: ScoreTable) -> NDArray[np.int16] | None:
    return table.fold if (table.fold != NO_FOLD).any() else None
