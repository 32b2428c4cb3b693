"""Weights of an ensemble: given, or fitted to the scores of its models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.tables.evaluation_set import EvaluationSet
from core.evaluation.tables.score_table import ScoreTable
from core.inference.context import SEEN, log_odds, rising_fit
from core.inference.ensemble import Combination, RankReference
from core.models.ensemble_recipe import EnsembleMethod
from core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class FitRows:
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

    def of(self, chosen: NDArray[np.bool_]) -> FitRows:
        """The rows where `chosen` (k,) is True."""
        scores = tuple(one[chosen] for one in self.scores)
        return FitRows(scores, self.truth[chosen], self.studies[chosen], self.counts[chosen])


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
    check_models(models, weights)
    if method == "stacking":
        raise PredictionsError("The weights of the stacking are fitted; choose a mean to set them.")
    references: tuple[RankReference, ...] = ()
    if method == "rank":
        references = tuple(map(RankReference.of, fit_rows(models).scores))
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
    check_models(evaluated.models, evaluated.models)
    return fitted_to(fit_rows(evaluated.models, evaluated.truth.fractured), method, non_negative)


def fit_rows(models: Sequence[ScoreTable], fractured: NDArray[np.bool_] | None = None) -> FitRows:
    """Rows of the fit; without truth, the same rows with False."""
    n = models[0].n_studies
    truth = np.zeros((n, N_VERTEBRAE), np.bool_) if fractured is None else fractured
    if not have_slices(models):
        studies = np.repeat(np.arange(n), N_VERTEBRAE)
        scores = tuple(model.vertebra_scores.ravel() for model in models)
        return FitRows(scores, truth.ravel(), studies, np.ones(len(studies)))
    outputs = [slices_of(model, slice(None)) for model in models]
    seen = np.mean([presence for presence, _ in outputs], axis=0) >= SEEN
    row, vertebra = np.nonzero(seen)
    if not len(row):
        raise PredictionsError("No vertebra is seen in any slice; predict the studies again.")
    studies = np.repeat(np.arange(n), np.diff(models[0].offsets))[row]
    cell = studies * N_VERTEBRAE + vertebra
    return FitRows(
        tuple(_at(fracture, row, vertebra) for _, fracture in outputs),
        truth[studies, vertebra],
        studies,
        1.0 / np.bincount(cell)[cell],
    )


def fitted_to(rows: FitRows, method: EnsembleMethod, non_negative: bool) -> Combination:
    """Fit the weights to rows, as `fit_weights` describes.

    Raises:
        PredictionsError: There is one class only, or no model's score rises with the truth.
    """
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


def check_models(models: Sequence[ScoreTable], weights: Sequence[Any]) -> None:
    """Check that there are two models or more, and as many weights.

    Raises:
        PredictionsError: There are not.
    """
    if len(models) < 2:
        raise PredictionsError("An ensemble needs two models or more; choose another one too.")
    if len(weights) != len(models):
        raise PredictionsError(
            f"{len(weights)} weights do not fit {len(models)} models; give one each."
        )


def slices_of(
    model: ScoreTable, rows: NDArray[np.int64] | slice
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """v_ij and f_ij of some rows of a model.

    Raises:
        PredictionsError: It has no slices.
    """
    if model.presence is None or model.fracture is None:
        raise PredictionsError(f"{model.name} has no slices; combine vertebra scores instead.")
    return model.presence[rows], model.fracture[rows]


def _at(
    fracture: NDArray[np.float32], row: NDArray[np.intp], vertebra: NDArray[np.intp]
) -> FloatArray:
    """f_ij of some rows, float64; a Type 1 model has one column."""
    return fracture[row, np.minimum(vertebra, fracture.shape[1] - 1)].astype(np.float64)


def _free_fit(x: FloatArray, rows: FitRows) -> tuple[FloatArray, float]:
    # Importing scikit-learn takes a second; a page that fits nothing does not pay for it.
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000).fit(x, rows.truth, sample_weight=rows.counts)
    return np.asarray(model.coef_[0], np.float64), float(np.asarray(model.intercept_)[0])
