"""The aggregation of `core.inference.aggregation` over all studies of a table at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.constants import BOXES_TYPE, FRACTURE_TYPES, N_VERTEBRAE
from core.errors import PredictionsError
from core.inference.aggregation import POOLINGS, TOP_K, Pooling
from core.types import FloatArray


def check_fracture_type(name: str, fracture: NDArray[np.float32], fracture_type: int) -> None:
    """Check that `fracture` (N, 7) or (N, 1) suits its type.

    Raises:
        PredictionsError: The type is unknown, or a Type 1 model gives more than one value a slice.
    """
    if fracture_type not in FRACTURE_TYPES:
        raise PredictionsError(
            f"{name}: fracture type {fracture_type} is unknown; use 1, 2, 3, or 4 for boxes."
        )
    if fracture_type == 1 and not bool(np.all(fracture == fracture[:, :1])):
        raise PredictionsError(
            f"{name}: a Type 1 model gives one fracture probability a slice, but the seven columns "
            "differ; set the fracture type to 2 or 3."
        )


def slice_scores(
    presence: NDArray[np.float32], fracture: NDArray[np.float32], fracture_type: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """p_i float64 (N,) and whether the slice was seen, bool (N,)."""
    if fracture_type == 1:
        return fracture[:, 0].astype(np.float64), np.ones(len(fracture), np.bool_)
    weights, sums = np.zeros(len(presence)), np.zeros(len(presence))
    highest = np.zeros(len(presence))
    # Column by column: two vectors at work instead of two float64 copies of the tables.
    for j in range(N_VERTEBRAE):
        v = presence[:, j].astype(np.float64)
        weights += v
        if fracture_type == BOXES_TYPE:
            np.maximum(highest, v * fracture[:, j], out=highest)
        else:
            sums += v * fracture[:, j]
    if fracture_type == BOXES_TYPE:
        return np.clip(highest, 0.0, 1.0), weights > 0
    scores = np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)
    return np.clip(scores, 0.0, 1.0), weights > 0


def pooled_over_slices(
    presence: NDArray[np.float32],
    fracture: NDArray[np.float32],
    offsets: NDArray[np.int64],
    pooling: Pooling,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """p_j float64 (n, 7) and whether each vertebra was seen, bool (n, 7).

    Args:
        presence: v_ij (N, 7).
        fracture: f_ij (N, 7) or (N, 1).
        offsets: (n + 1,); every study has a slice.
        pooling: As in `core.inference.aggregation.aggregate`.

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


def _mean(product: FloatArray, weights: FloatArray, offsets: NDArray[np.int64]) -> FloatArray:
    sums = np.add.reduceat(product, offsets[:-1])
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)


def _maximum(product: FloatArray, _: FloatArray, offsets: NDArray[np.int64]) -> FloatArray:
    return np.maximum.reduceat(product, offsets[:-1])


def _top_k(product: FloatArray, _: FloatArray, offsets: NDArray[np.int64]) -> FloatArray:
    lengths = np.diff(offsets)
    padded = np.full((len(lengths), max(int(lengths.max()), TOP_K)), -np.inf)
    inside = np.arange(padded.shape[1]) < lengths[:, None]
    padded[inside] = product
    largest = np.partition(padded, -TOP_K, axis=1)[:, -TOP_K:]
    counted = np.minimum(lengths, TOP_K)
    return np.where(np.isfinite(largest), largest, 0.0).sum(axis=1) / counted


def _noisy_or(product: FloatArray, _: FloatArray, offsets: NDArray[np.int64]) -> FloatArray:
    return 1.0 - np.multiply.reduceat(1.0 - product, offsets[:-1])


_POOLS: Final[dict[str, Callable[[FloatArray, FloatArray, NDArray[np.int64]], FloatArray]]] = {
    "mean": _mean,
    "max": _maximum,
    "top_k": _top_k,
    "noisy_or": _noisy_or,
}
