"""A slice's fracture probability together with the tracks of lines along its study.

As for a localiser's boxes: a line crosses a few neighbouring slices, and the vertebra in view on
most of them is its likeliest owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from core.inference.boxes.evidence import (
    NO_BOX,
    POWERS,
    BoxEvidence,
    best_weights,
    rows_seen,
    vertebra_evidence,
)
from core.inference.boxes.tracks import TRACK_DEPTH
from core.inference.context import SEEN, log_odds
from core.models.bundles import BoxWeights
from core.types import FloatArray

MAX_TRACKS: Final = 12
"""Tracks of a study, best first; weaker ones add nothing."""
TRACK_EDGE: Final = 0.5
"""A track ends where the score falls below this share of its peak."""

FitRow = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]
"""f_ij, v_ij and y_ij of a study, each (n, 7)."""


def line_evidence(fracture: NDArray[np.float32], presence: NDArray[np.float32]) -> BoxEvidence:
    """Find the tracks of lines in a study's f_ij, and how far each belongs to each vertebra.

    With g_i = max_j f_ij v_ij, a track is a peak of g and the slices around it down to half of it;
    its score is the mean of its three best g_i, missing ones counted as 0; its owners are the sums
    of f_ij v_ij over its slices, divided by the largest of the seven. The next track is found among
    the slices that are left.

    Args:
        fracture: float32 (n, 7), f_ij.
        presence: float32 (n, 7), v_ij.
    """
    each = fracture.astype(np.float64) * presence
    strength = each.max(axis=1)
    left = strength.copy()
    scores: list[float] = []
    owners: list[FloatArray] = []
    while len(scores) < MAX_TRACKS and left.max() > NO_BOX:
        rows = _around(left, int(left.argmax()))
        best = np.sort(strength[rows])[::-1][:TRACK_DEPTH]
        scores.append(float(best.sum()) / TRACK_DEPTH)
        owned = each[rows].sum(axis=0)
        owners.append(owned / owned.max())
        left[rows] = 0.0
    return BoxEvidence(
        np.maximum(strength, NO_BOX),
        np.array(scores, np.float64),
        np.array(owners, np.float64).reshape(-1, fracture.shape[1]),
    )


def with_tracks(
    fracture: NDArray[np.float32], presence: NDArray[np.float32], weights: BoxWeights, *,
    shared: bool,
) -> NDArray[np.float32]:  # fmt: skip
    """Combine each slice's f_ij with the tracks of its vertebra.

    With l_ij the log odds of f_ij, and e_j from `vertebra_evidence` of the study's tracks::

        f'_ij = sigmoid(intercept + local * l_ij + vertebra * log odds of e_j)

    A Type 1 network has one f_i per slice; the log odds of e_j are then averaged over the vertebrae
    in view, weighted by v_ij.

    Args:
        fracture: float32 (n, 7), f_ij.
        presence: float32 (n, 7), v_ij.
        weights: The powers and the three coefficients.
        shared: Whether the seven columns repeat one value (Type 1).

    Returns:
        float32 (n, 7), f'_ij; with `shared`, all columns are equal.
    """
    evidence = line_evidence(fracture, presence)
    whole = _whole(evidence, presence, weights.owner_power, weights.score_power, shared=shared)
    local = log_odds(fracture.astype(np.float64))
    logits = weights.intercept + weights.local * local + weights.vertebra * whole
    return expit(logits).astype(np.float32)


def fit_tracks(studies: Sequence[FitRow], *, shared: bool) -> BoxWeights:
    """Fit the weights to the slices in which a vertebra is seen, as `fit_box_weights` does.

    Args:
        studies: Studies that the network was not trained on.
        shared: Whether f_ij is a Type 1 network's single value per slice.

    Raises:
        TrainingError: All rows are of one class.
    """
    seen = [v.max(axis=1, keepdims=True) >= SEEN if shared else v >= SEEN for _, v, _ in studies]
    truth = [np.any(t, axis=1, keepdims=True) if shared else t for _, _, t in studies]
    y = np.concatenate([t[s] for t, s in zip(truth, seen, strict=True)] or [np.zeros(0, np.bool_)])
    found = [line_evidence(f, v) for f, v, _ in studies]
    local = _rows([log_odds(f.astype(np.float64)) for f, _, _ in studies], seen)

    def whole(owner: float, score: float) -> FloatArray:
        each = [
            _whole(evidence, v, owner, score, shared=shared)
            for evidence, (_, v, _) in zip(found, studies, strict=True)
        ]
        return _rows(each, seen)

    return best_weights(y, local, whole, product(POWERS, POWERS))


def _around(strength: FloatArray, peak: int) -> slice:
    """The slices around a peak down to `TRACK_EDGE` of it."""
    low = strength < TRACK_EDGE * strength[peak]
    before, after = np.flatnonzero(low[:peak]), np.flatnonzero(low[peak:])
    start = int(before[-1]) + 1 if len(before) else 0
    return slice(start, peak + int(after[0]) if len(after) else len(strength))


def _whole(
    evidence: BoxEvidence, presence: NDArray[np.float32], owner: float, score: float, *,
    shared: bool,
) -> FloatArray:  # fmt: skip
    """Log odds of e_j for each slice and vertebra, float64 (n, 7)."""
    whole = log_odds(vertebra_evidence(evidence, owner_power=owner, score_power=score))
    if not shared:
        return np.broadcast_to(whole, presence.shape)
    v = presence.astype(np.float64)
    weights = v.sum(axis=1)
    lowest = float(log_odds(np.array([NO_BOX]))[0])
    blended = np.divide(v @ whole, weights, out=np.full(len(v), lowest), where=weights > 0)
    return np.broadcast_to(blended[:, np.newaxis], presence.shape)


def _rows(values: Sequence[FloatArray], seen: Sequence[NDArray[np.bool_]]) -> FloatArray:
    """Values of all studies where a vertebra is seen; the first column stands for a shared one."""
    return rows_seen(
        [value[:, : kept.shape[1]] for value, kept in zip(values, seen, strict=True)], seen
    )
