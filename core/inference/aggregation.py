"""From slice outputs to slice, vertebra and patient probabilities, of one study or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.constants import BOXES_TYPE, FRACTURE_TYPES, N_VERTEBRAE
from core.errors import PredictionsError
from core.types import FloatArray, IntArray, PatientPrediction, SlicePredictions

Pooling = Literal["mean", "max", "top_k", "noisy_or"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
TOP_K: Final = 5
"""Slices averaged by the `top_k` pooling."""

Outputs = NDArray[np.floating[Any]]
"""Network outputs of N slices, float32 or float64 in [0, 1]; summed in float64."""


def aggregate(predictions: SlicePredictions, *, pooling: Pooling = "mean") -> PatientPrediction:
    """Aggregate one study's slice outputs to p_i, p_j and p.

    With presence v_ij and fracture probability f_ij (slice i, vertebra j)::

        p_i = f_i                                   Type 1
        p_i = sum_j f_ij v_ij / sum_j v_ij          Types 2 and 3
        p_i = max_j f_ij v_ij                       Type 4, boxes
        p_j = sum_i f_ij v_ij / sum_i v_ij          pooling "mean"
        p_j = max_i f_ij v_ij                       pooling "max"
        p_j = mean of the K largest f_ij v_ij       pooling "top_k", K = min(5, n)
        p_j = 1 - prod_i (1 - f_ij v_ij)            pooling "noisy_or"
        p   = 1 - prod_j (1 - p_j)

    A box belongs to one vertebra, so the others in view are no evidence against it: where two share
    a slice, a mean would halve the score. The pooling changes p_j and p only. Where a sum of v is 0
    the score is 0 and the row counts as not seen; a Type 1 slice has no such sum and is always
    seen. `noisy_or` grows with the number of slices: compare its scores only between studies of
    similar length. Sums are computed in float64.

    Args:
        predictions: Network outputs of one study, in [0, 1].
        pooling: How p_j is pooled over slices.

    Raises:
        PredictionsError: An array has a wrong shape, holds NaN or values outside [0, 1], there is
            no slice, or the type or the pooling is unknown.
    """
    check_slice_predictions(predictions)
    presence, fracture = predictions.vertebra_probs, predictions.fracture_probs
    slice_probs, slice_seen = slice_scores(presence, fracture, predictions.fracture_type)
    offsets = np.array([0, predictions.n_slices])
    vertebra_probs, vertebra_seen = vertebra_scores(presence, fracture, offsets, pooling)
    return PatientPrediction(
        study_id=predictions.study_id,
        slice_probs=slice_probs,
        slice_seen=slice_seen,
        vertebra_probs=vertebra_probs[0],
        vertebra_seen=vertebra_seen[0],
        patient_prob=float(patient_scores(vertebra_probs)[0]),
        models=predictions.models,
    )


def check_slice_predictions(predictions: SlicePredictions) -> None:
    """Check the shapes, the type and the ranges of one study's outputs.

    Raises:
        PredictionsError: As `aggregate` describes.
    """
    study = f"Study {predictions.study_id}"
    n_slices = len(predictions.z_mm)
    if n_slices == 0:
        raise PredictionsError(f"{study} has no slice; predict it again.")
    presence, fracture = predictions.vertebra_probs, predictions.fracture_probs
    for name, values in (("presence", presence), ("fracture", fracture)):
        if values.shape != (n_slices, N_VERTEBRAE):
            raise PredictionsError(
                f"{study}: {name} probabilities have shape {values.shape} but need "
                f"{(n_slices, N_VERTEBRAE)}, one row per slice; predict it again."
            )
    check_outputs(study, presence, fracture, predictions.fracture_type)


def check_outputs(owner: str, presence: Outputs, fracture: Outputs, fracture_type: int) -> None:
    """Check the values of v_ij (N, 7) and f_ij (N, 7) or (N, 1), and that f_ij fits its type.

    Args:
        owner: Study or model named in the message.
        presence: v_ij.
        fracture: f_ij.
        fracture_type: 1, 2, 3, or 4 for boxes.

    Raises:
        PredictionsError: A value is NaN or outside [0, 1], the type is unknown, or a Type 1 model
            has more than one value per slice.
    """
    for kind, values in (("presence", presence), ("fracture", fracture)):
        # NaN fails both comparisons.
        if len(values) and not (values.min() >= 0 and values.max() <= 1):
            raise PredictionsError(
                f"{owner}: {kind} probabilities are NaN or outside [0, 1]; predict again."
            )
    if fracture_type not in FRACTURE_TYPES:
        raise PredictionsError(
            f"{owner}: fracture type {fracture_type} is unknown; use 1, 2, 3, or 4 for boxes."
        )
    if fracture_type == 1 and not bool(np.all(fracture == fracture[:, :1])):
        raise PredictionsError(
            f"{owner}: a Type 1 model gives one fracture probability per slice, but the seven "
            "columns differ; set the fracture type to 2 or 3."
        )


def slice_scores(
    presence: Outputs, fracture: Outputs, fracture_type: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """p_i float64 (N,) and whether the slice was seen, bool (N,)."""
    if fracture_type == 1:
        return fracture[:, 0].astype(np.float64), np.ones(len(fracture), np.bool_)
    weights, scores = np.zeros(len(presence)), np.zeros(len(presence))
    gather = np.maximum if fracture_type == BOXES_TYPE else np.add
    # Column by column, which avoids two float64 copies of the tables.
    for j in range(N_VERTEBRAE):
        v = presence[:, j].astype(np.float64)
        weights += v
        gather(scores, v * fracture[:, j], out=scores)
    seen = weights > 0
    if fracture_type != BOXES_TYPE:
        np.divide(scores, weights, out=scores, where=seen)
    return np.clip(scores, 0.0, 1.0), seen


def vertebra_scores(
    presence: Outputs, fracture: Outputs, offsets: IntArray, pooling: Pooling = "mean"
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """p_j float64 (n, 7) and whether each vertebra was seen, bool (n, 7), of n studies.

    Args:
        presence: v_ij (N, 7), the slices of one study after the other.
        fracture: f_ij (N, 7) or (N, 1).
        offsets: (n + 1,), slices of study k are rows `offsets[k]:offsets[k + 1]`, at least one.
        pooling: As in `aggregate`.

    Raises:
        PredictionsError: There is no such pooling.
    """
    pool = _POOLS.get(pooling)
    if pool is None:
        raise PredictionsError(
            f"There is no pooling named {pooling!r}; choose one of {', '.join(POOLINGS)}."
        )
    n = len(offsets) - 1
    scores, seen = np.zeros((n, N_VERTEBRAE)), np.zeros((n, N_VERTEBRAE), np.bool_)
    for j in range(N_VERTEBRAE):
        v = presence[:, j].astype(np.float64)
        product = v * fracture[:, min(j, fracture.shape[1] - 1)]
        weights = np.add.reduceat(v, offsets[:-1])
        seen[:, j] = weights > 0
        pooled = np.clip(pool(product, weights, offsets), 0.0, 1.0)
        scores[:, j] = np.where(seen[:, j], pooled, 0.0)
    return scores, seen


def patient_scores(vertebra_scores: FloatArray) -> FloatArray:
    """p = 1 - prod_j (1 - p_j), float64 (n,), of p_j (n, 7)."""
    return 1.0 - np.prod(1.0 - vertebra_scores, axis=1)


def _mean(product: FloatArray, weights: FloatArray, offsets: IntArray) -> FloatArray:
    sums = np.add.reduceat(product, offsets[:-1])
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)


def _maximum(product: FloatArray, _: FloatArray, offsets: IntArray) -> FloatArray:
    return np.maximum.reduceat(product, offsets[:-1])


def _top_k(product: FloatArray, _: FloatArray, offsets: IntArray) -> FloatArray:
    lengths = np.diff(offsets)
    padded = np.full((len(lengths), max(int(lengths.max()), TOP_K)), -np.inf)
    inside = np.arange(padded.shape[1]) < lengths[:, None]
    padded[inside] = product
    largest = np.partition(padded, -TOP_K, axis=1)[:, -TOP_K:]
    counted = np.minimum(lengths, TOP_K)
    return np.where(np.isfinite(largest), largest, 0.0).sum(axis=1) / counted


def _noisy_or(product: FloatArray, _: FloatArray, offsets: IntArray) -> FloatArray:
    return 1.0 - np.multiply.reduceat(1.0 - product, offsets[:-1])


_POOLS: Final[dict[str, Callable[[FloatArray, FloatArray, IntArray], FloatArray]]] = {
    "mean": _mean,
    "max": _maximum,
    "top_k": _top_k,
    "noisy_or": _noisy_or,
}
