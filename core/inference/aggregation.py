"""From slice outputs to slice, vertebra and patient probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.constants import BOXES_TYPE, FRACTURE_TYPES, N_VERTEBRAE
from core.errors import PredictionsError
from core.types import FloatArray, PatientPrediction, SlicePredictions

Pooling = Literal["mean", "max", "top_k", "noisy_or"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
TOP_K = 5
"""Slices averaged by the `top_k` pooling."""


def aggregate(predictions: SlicePredictions, *, pooling: Pooling = "mean") -> PatientPrediction:
    """Aggregate one study's slice outputs to p_i, p_j and p.

    With presence v_ij and fracture probability f_ij (slice i, vertebra j)::

        p_i = f_i                                   Type 1
        p_i = sum_j f_ij v_ij / sum_j v_ij          Types 2 and 3
        p_i = max_j f_ij v_ij                       Type 4, boxes taken as evidence
        p_j = sum_i f_ij v_ij / sum_i v_ij          pooling "mean"
        p_j = max_i f_ij v_ij                       pooling "max"
        p_j = mean of the K largest f_ij v_ij       pooling "top_k", K = min(5, n)
        p_j = 1 - prod_i (1 - f_ij v_ij)            pooling "noisy_or"
        p   = 1 - prod_j (1 - p_j)

    A box on a slice is of one vertebra, so the others in view say nothing against it: where two
    share a slice, a mean would halve the score. The pooling changes p_j and p only. Where a sum of
    v is 0 the score is 0 and the row counts as not seen; a Type 1 slice has no such sum and is
    always seen. `noisy_or` grows with the number of slices: compare its scores only between
    studies of like length. Sums run in float64.

    Args:
        predictions: Network outputs of one study, in [0, 1].
        pooling: How p_j is pooled over slices.

    Raises:
        PredictionsError: An array has a wrong shape, holds NaN or leaves [0, 1], there is no
            slice, or the type or the pooling is unknown.
    """
    pool = _POOLS.get(pooling)
    if pool is None:
        raise PredictionsError(
            f"There is no pooling named {pooling!r}; choose one of {', '.join(POOLINGS)}."
        )
    check_slice_predictions(predictions)
    presence = predictions.vertebra_probs.astype(np.float64)
    fracture = predictions.fracture_probs.astype(np.float64)
    slice_probs, slice_seen = _slice_scores(fracture, presence, predictions.fracture_type)
    vertebra_seen = presence.sum(axis=0) > 0
    vertebra_probs = np.where(vertebra_seen, np.clip(pool(fracture, presence), 0.0, 1.0), 0.0)
    return PatientPrediction(
        study_id=predictions.study_id,
        slice_probs=slice_probs,
        slice_seen=slice_seen,
        vertebra_probs=vertebra_probs,
        vertebra_seen=vertebra_seen,
        patient_prob=float(1.0 - np.prod(1.0 - vertebra_probs)),
        models=predictions.models,
    )


def check_slice_predictions(predictions: SlicePredictions) -> None:
    """Check the shapes, the type and the ranges of one study's outputs.

    Raises:
        PredictionsError: As `aggregate` describes.
    """
    study = predictions.study_id
    n_slices = len(predictions.z_mm)
    if n_slices == 0:
        raise PredictionsError(f"Study {study} has no slice; predict it again.")
    for name, values in (
        ("presence", predictions.vertebra_probs),
        ("fracture", predictions.fracture_probs),
    ):
        if values.shape != (n_slices, N_VERTEBRAE):
            raise PredictionsError(
                f"Study {study}: {name} probabilities have shape {values.shape} but need "
                f"{(n_slices, N_VERTEBRAE)}, one row a slice; predict it again."
            )
        # NaN fails both comparisons, so one expression covers it as well.
        if not bool(np.all((values >= 0) & (values <= 1))):
            raise PredictionsError(
                f"Study {study}: {name} probabilities hold NaN or leave [0, 1]; predict it again."
            )
    if predictions.fracture_type not in FRACTURE_TYPES:
        raise PredictionsError(
            f"Study {study}: fracture type {predictions.fracture_type} is unknown; use 1, 2, 3, or "
            "4 for boxes."
        )
    repeated = predictions.fracture_probs[:, :1]
    if predictions.fracture_type == 1 and not bool(np.all(predictions.fracture_probs == repeated)):
        raise PredictionsError(
            f"Study {study}: a Type 1 model gives one fracture probability a slice, but the seven "
            "columns differ; set the fracture type to 2 or 3."
        )


def _slice_scores(
    fracture: FloatArray, presence: FloatArray, fracture_type: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return p_i float64 (n_slices,) and whether the slice was seen, bool (n_slices,)."""
    if fracture_type == 1:
        return fracture[:, 0].copy(), np.ones(len(fracture), dtype=np.bool_)
    if fracture_type == BOXES_TYPE:
        scores = (fracture * presence).max(axis=1)
    else:
        scores = _weighted_mean(fracture, presence, axis=1)
    return np.clip(scores, 0.0, 1.0), presence.sum(axis=1) > 0


def _weighted_mean(fracture: FloatArray, presence: FloatArray, axis: int) -> FloatArray:
    """Presence-weighted mean along `axis`; 0 where the weights sum to 0."""
    weights = presence.sum(axis=axis)
    sums = (fracture * presence).sum(axis=axis)
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)


def _mean(fracture: FloatArray, presence: FloatArray) -> FloatArray:
    return _weighted_mean(fracture, presence, axis=0)


def _maximum(fracture: FloatArray, presence: FloatArray) -> FloatArray:
    return (fracture * presence).max(axis=0)


def _top_k(fracture: FloatArray, presence: FloatArray) -> FloatArray:
    return np.sort(fracture * presence, axis=0)[-TOP_K:].mean(axis=0)


def _noisy_or(fracture: FloatArray, presence: FloatArray) -> FloatArray:
    return 1.0 - np.prod(1.0 - fracture * presence, axis=0)


_POOLS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "mean": _mean,
    "max": _maximum,
    "top_k": _top_k,
    "noisy_or": _noisy_or,
}
