"""A slice's fracture probability in the context of the whole vertebra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import TrainingError
from core.models.bundles import VertebraContext
from core.types import FloatArray

CLIP: Final = 1e-6
"""Smallest distance of probabilities from 0 and 1 before their log odds are taken."""
SEEN: Final = 0.5
"""Smallest presence with which a slice of a vertebra takes part in the fit."""
_RIDGE: Final = 1.0


def in_context(
    fracture: NDArray[np.float32],
    presence: NDArray[np.float32],
    context: VertebraContext,
    *,
    shared: bool,
) -> NDArray[np.float32]:
    """Combine each slice's fracture probability with that of the whole vertebra.

    A fracture line crosses only some slices of its vertebra, while y_ij = y_j v_ij is true on every
    slice of a fractured vertebra. So, with l the log odds of f_ij and s_j those of the mean of the
    K largest f_ij v_ij over the study::

        f'_ij = sigmoid(intercept + local * l_ij + vertebra * s_j)

    A Type 1 network has one f_i per slice; s_i is then the mean of s_j over the vertebrae in view,
    weighted by v_ij.

    Args:
        fracture: float32 (n, 7), f_ij.
        presence: float32 (n, 7), v_ij.
        context: K and the three coefficients.
        shared: Whether the seven columns repeat one value (Type 1).

    Returns:
        float32 (n, 7), f'_ij; with `shared`, all columns are equal.
    """
    local, vertebra = context_features(fracture, presence, context.top_k, shared=shared)
    logits = context.intercept + context.local * local + context.vertebra * vertebra
    return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


def context_features(
    fracture: NDArray[np.float32], presence: NDArray[np.float32], top_k: int, *, shared: bool
) -> tuple[FloatArray, FloatArray]:
    """Log odds l_ij of the slice and s_j (or s_i) of its vertebra, each float64 (n, 7)."""
    f, v = fracture.astype(np.float64), presence.astype(np.float64)
    kept = min(top_k, len(f))
    whole = log_odds(np.sort(f * v, axis=0)[len(f) - kept :].mean(axis=0))
    if not shared:
        return log_odds(f), np.broadcast_to(whole, f.shape)
    weights = v.sum(axis=1)
    lowest = float(log_odds(np.zeros(1))[0])
    blended = np.divide(v @ whole, weights, out=np.full(len(f), lowest), where=weights > 0)
    return log_odds(f), np.broadcast_to(blended[:, np.newaxis], f.shape)


def fit_context(
    studies: Sequence[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]],
    *,
    top_k: int,
    shared: bool,
) -> VertebraContext:
    """Fit the coefficients by logistic regression over the slices in which a vertebra is seen.

    Fit on studies that the networks were not trained on. Neither coefficient may be negative, as
    more evidence must not lower the probability of a fracture.

    Args:
        studies: (f_ij, v_ij, y_ij) of each study: float32, float32 and bool (n, 7).
        top_k: K.
        shared: Whether f_ij is a Type 1 network's single value per slice.

    Raises:
        TrainingError: All rows are of one class.
    """
    rows: list[FloatArray] = []
    truth: list[NDArray[np.bool_]] = []
    for fracture, presence, target in studies:
        local, vertebra = context_features(fracture, presence, top_k, shared=shared)
        if shared:
            seen = presence.max(axis=1) >= SEEN
            rows.append(np.stack([local[seen, 0], vertebra[seen, 0]], axis=1))
            truth.append(np.any(target, axis=1)[seen])
        else:
            seen = presence >= SEEN
            rows.append(np.stack([local[seen], vertebra[seen]], axis=1))
            truth.append(target[seen])
    x = np.concatenate(rows) if rows else np.zeros((0, 2))
    y = np.concatenate(truth) if truth else np.zeros(0, np.bool_)
    if not len(y) or y.all() or not y.any():
        raise TrainingError(
            "The context along a vertebra cannot be fitted to slices of one class; give studies "
            "with and without fractures."
        )
    slopes, intercept = rising_fit(x, y)
    return VertebraContext(
        top_k=top_k,
        local=round(float(slopes[0]), 6),
        vertebra=round(float(slopes[1]), 6),
        intercept=round(intercept, 6),
    )


def rising_fit(
    x: FloatArray, y: NDArray[np.bool_], sample_weight: FloatArray | None = None
) -> tuple[FloatArray, float]:
    """Fit slopes (m,), none negative, and the intercept.

    The feature with the most negative slope is dropped until none is. The intercept is fitted again
    with the remaining features: with none, it is the log odds of y.

    Args:
        x: float64 (n, m), features.
        y: bool (n,), both classes.
        sample_weight: float64 (n,); equal if None.
    """
    # Importing scikit-learn takes a second; what fits nothing does not pay for it.
    from sklearn.linear_model import LogisticRegression

    slopes = np.zeros(x.shape[1])
    used = np.full(x.shape[1], fill_value=True)
    while used.any():
        model = LogisticRegression(C=1 / _RIDGE, max_iter=1000)
        model.fit(x[:, used], y, sample_weight=sample_weight)
        found = np.asarray(model.coef_[0], np.float64)
        if found.min() >= 0:
            slopes[used] = found
            return slopes, float(np.asarray(model.intercept_)[0])
        used[np.flatnonzero(used)[found.argmin()]] = False
    share = np.average(y, weights=sample_weight)
    return slopes, float(log_odds(np.asarray([share]))[0])


def log_odds(probability: FloatArray) -> FloatArray:
    """Log odds of probabilities of any shape, clipped to [`CLIP`, 1 - `CLIP`]."""
    p = np.clip(probability, CLIP, 1 - CLIP)
    return np.log(p) - np.log1p(-p)
