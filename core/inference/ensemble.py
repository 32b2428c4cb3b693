"""Scores of several models combined: log-odds mean, rank mean, logistic stacking."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from core.constants import BOXES_TYPE
from core.errors import PredictionsError
from core.inference.context import log_odds
from core.models.ensemble_recipe import METHODS, EnsembleMethod, EnsembleRecipe
from core.types import FloatArray, SlicePredictions

_MIXED_TYPE: Final = 2
"""Fracture type of slice networks of several types: p_i is the mean of f_ij weighted by v_ij."""
_QUANTILES: Final = 512
Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class RankReference:
    """Distribution of one model's scores, so that a single score has a rank.

    Attributes:
        quantiles: Quantiles at (k + 0.5) / n, rising, in [0, 1].
    """

    quantiles: tuple[float, ...]

    @staticmethod
    def of(scores: Scores) -> RankReference:
        """The reference of scores of any shape, at least one."""
        places = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        return RankReference(tuple(np.quantile(scores, places).tolist()))

    @cached_property
    def _knots(self) -> tuple[FloatArray, FloatArray]:
        """Distinct scores with their mean rank, both rising from 0 to 1."""
        n = len(self.quantiles)
        scores = np.array([0.0, *self.quantiles, 1.0])
        ranks = np.array([0.0, *((np.arange(n) + 0.5) / n), 1.0])
        values, place, count = np.unique(scores, return_inverse=True, return_counts=True)
        return values, np.bincount(place, ranks) / count

    def rank(self, scores: Scores) -> FloatArray:
        """Share of the reference below each score, linear between quantiles, in [0, 1]."""
        return np.interp(scores, *self._knots)

    def score(self, ranks: FloatArray) -> FloatArray:
        """The scores with these ranks: the inverse of `rank`."""
        values, known = self._knots
        return np.interp(ranks, known, values)


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """How the scores of M models become one.

    Attributes:
        method: The method.
        weights: M weights; those of a mean are 0 or above and need not sum to 1.
        intercept: Added by the stacking.
        references: M references, for the rank mean.
    """

    method: EnsembleMethod
    weights: tuple[float, ...]
    intercept: float = 0.0
    references: tuple[RankReference, ...] = ()

    def __post_init__(self) -> None:
        weights = np.array(self.weights, np.float64)
        if self.method not in METHODS:
            raise PredictionsError(
                f"There is no method {self.method!r}; choose one of {', '.join(METHODS)}."
            )
        if not np.isfinite([*weights, self.intercept]).all():
            raise PredictionsError("A weight is not a number; give each model one.")
        if self.method != "stacking" and not (weights.min() >= 0 and weights.sum() > 0):
            raise PredictionsError(
                "The weights of a mean are 0 or above and not all 0; correct them."
            )
        if self.method == "rank" and len(self.references) != len(weights):
            raise PredictionsError("A rank mean needs a reference for every model; fit it again.")

    @property
    def shares(self) -> FloatArray:
        """Weights scaled to a sum of absolute values of 1, (M,); equal if all are 0."""
        weights = np.abs(np.array(self.weights, np.float64))
        return (
            weights / weights.sum()
            if weights.sum() > 0
            else np.full(len(weights), 1 / len(weights))
        )


def combination_of(recipe: EnsembleRecipe) -> Combination:
    """The combination that a bundle stores."""
    references = (RankReference(member.quantiles) for member in recipe.members)
    return Combination(
        recipe.method,
        tuple(member.weight for member in recipe.members),
        recipe.intercept,
        tuple(references) if recipe.method == "rank" else (),
    )


def combine(scores: Sequence[Scores], combination: Combination) -> FloatArray:
    """Combine the scores s_m of M models, element by element.

    With w_m the weights divided by their sum, R_m the rank in a model's reference and Q_m its
    inverse::

        sigmoid(sum_m w_m log odds of s_m)               log-odds mean
        sum_m w_m Q_m(sum_k w_k R_k(s_k))                rank mean
        sigmoid(intercept + sum_m weight_m log odds of s_m)    stacking

    The mean rank is put back on the scale of the members' scores, so that it stays a probability as
    far as theirs are. A mean with one weight above 0 is that model's score.

    Args:
        scores: M arrays in [0, 1] of shapes that fit together.
        combination: Method and weights.

    Returns:
        float64, in [0, 1].

    Raises:
        PredictionsError: There is another number of models than of weights.
    """
    if len(scores) != len(combination.weights):
        raise PredictionsError(
            f"{len(combination.weights)} weights do not fit {len(scores)} models; give one each."
        )
    shape = np.broadcast_shapes(*(one.shape for one in scores))
    used = np.flatnonzero(combination.weights).tolist()
    if combination.method != "stacking" and len(used) == 1:
        return np.broadcast_to(scores[used[0]], shape).astype(np.float64)
    if combination.method == "rank":
        return _rank_mean(scores, combination, shape)
    stacked = combination.method == "stacking"
    weights = combination.weights if stacked else combination.shares.tolist()
    total = np.full(shape, combination.intercept if stacked else 0.0)
    # Model by model, which avoids one float64 copy of every table.
    for m in used:
        total += weights[m] * log_odds(scores[m].astype(np.float64))
    return expit(total)


def combine_outputs(
    presence: Sequence[Scores], fracture: Sequence[Scores], types: Sequence[int],
    combination: Combination,
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:  # fmt: skip
    """Combine slice outputs: v_ij by their weighted mean, f_ij as `combine` does.

    Args:
        presence: M arrays (n, 7), v_ij.
        fracture: M arrays (n, 7), or (n, 1) for Type 1, f_ij.
        types: M fracture types.
        combination: Method and weights.

    Returns:
        v_ij float32 (n, 7), f_ij float32 (n, 7) or (n, 1), and the `shared_type` of the members
        with a weight.
    """
    used = np.flatnonzero(combination.weights).tolist()
    shares = combination.shares
    seen = np.zeros(presence[0].shape)
    for m in used:
        seen += shares[m] * presence[m]
    first = presence[used[0]] if len(used) else presence[0]
    # Members that share a vertebra network keep its v_ij to the last digit.
    if all(np.array_equal(first, presence[m]) for m in used[1:]):
        seen = first
    return (
        np.clip(seen, 0.0, 1.0).astype(np.float32),
        combine(fracture, combination).astype(np.float32),
        shared_type({types[m] for m in used}),
    )


def shared_type(types: Collection[int]) -> int:
    """The fracture type of members of these types: their own, that of boxes, or 2.

    With a localiser, p_i is the highest f_ij v_ij, since its boxes are of one vertebra.
    """
    if BOXES_TYPE in types:
        return BOXES_TYPE
    return next(iter(types)) if len(types) == 1 else _MIXED_TYPE


def combine_predictions(
    members: Sequence[SlicePredictions], combination: Combination, models: tuple[str, ...]
) -> SlicePredictions:
    """Combine the predictions of one study by M members.

    Args:
        members: At least one; all of the same slices.
        combination: Method and weights.
        models: Names of the bundles.

    Returns:
        The first member's slices and distribution score with the combined outputs.
    """
    presence, fracture, fracture_type = combine_outputs(
        [one.vertebra_probs for one in members], [one.fracture_probs for one in members],
        [one.fracture_type for one in members], combination,
    )  # fmt: skip
    return replace(
        members[0], vertebra_probs=presence, fracture_probs=fracture, fracture_type=fracture_type,
        models=models,
    )  # fmt: skip


def _rank_mean(
    scores: Sequence[Scores], combination: Combination, shape: tuple[int, ...]
) -> FloatArray:
    shares, references = combination.shares, combination.references
    used = np.flatnonzero(shares).tolist()
    ranks, total = np.zeros(shape), np.zeros(shape)
    for m in used:
        ranks += shares[m] * references[m].rank(scores[m])
    for m in used:
        total += shares[m] * references[m].score(ranks)
    return np.clip(total, 0.0, 1.0)
