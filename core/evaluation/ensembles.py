"""Ensembles of models: their scores, also out of fold, and the comparison with the members.

Models that all have slices are combined slice by slice, v_ij and f_ij, and every other score
follows from these as for one model. Otherwise their p_j are combined, and p = 1 - prod_j (1 - p_j).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.dataset.splits import grouped_folds
from core.errors import PredictionsError
from core.evaluation.arrays import rows_of_studies
from core.evaluation.comparison import PairComparison, Setting, compare_settings
from core.evaluation.ensemble_weights import (
    check_models,
    fit_rows,
    fitted_to,
    have_slices,
    slices_of,
)
from core.evaluation.levels import DEFAULT_THRESHOLD
from core.evaluation.tables.evaluation_set import Coverage, EvaluationSet, SliceTruth
from core.evaluation.tables.score_table import (
    NO_FOLD,
    ScoreTable,
    table_from_slices,
    table_without_slices,
)
from core.inference.aggregation import patient_scores
from core.inference.ensemble import (
    Combination,
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
        non_negative: As for `ensemble_weights.fit_weights`.

    Raises:
        PredictionsError: As `ensemble_weights.fit_weights`, or there are fewer studies than folds.
    """
    models = evaluated.models
    check_models(models, models)
    n = evaluated.truth.n_studies
    if folds < 2 or n < folds:
        raise PredictionsError(
            f"{n} studies cannot be split into {folds} folds; take at least two folds and as many "
            "studies."
        )
    rows = fit_rows(models, evaluated.truth.fractured)
    fractured = np.asarray(evaluated.truth.fractured.any(axis=1))
    fold_of = grouped_folds(np.arange(n), fractured, folds, seed)
    fitted = [
        fitted_to(rows.of(fold_of[rows.studies] != fold), method, non_negative)
        for fold in range(folds)
    ]
    parts = [(np.flatnonzero(fold_of == fold), one) for fold, one in enumerate(fitted)]
    return OutOfFold(
        table=_table(name, models, parts, fold_of.astype(np.int16)),
        combination=fitted_to(rows, method, non_negative),
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
    check_models(models, combination.weights)
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
        v, f = zip(*(slices_of(model, rows) for model in models), strict=True)
        types = [model.fracture_type or 0 for model in models]
        presence[rows], fracture[rows], kind = combine_outputs(v, f, types, combination)
        kinds.add(kind)
    return table_from_slices(
        name, first.study_ids, first.offsets, presence, fracture,
        shared_type(kinds),
        fold=_known_fold(first) if fold is None else fold, pooling=first.pooling or "mean",
    )  # fmt: skip


def _known_fold(table: ScoreTable) -> NDArray[np.int16] | None:
    return table.fold if (table.fold != NO_FOLD).any() else None
