"""How well presence is told from absence, level by level, where a reader marked the levels."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.constants import VERTEBRAE
from core.types import FloatArray

EDGE: Final = 2
"""Slices left out on both sides of the first and the last slice of a level."""


def presence_auc(probs: NDArray[np.float32], present: NDArray[np.bool_]) -> dict[str, float]:
    """AUC of presence by level and pooled, without the slices around a level's two ends.

    Args:
        probs: float32 (n_slices, 7), v_ij.
        present: bool (n_slices, 7).

    Returns:
        By name of a level that has slices of both classes, and "pooled" over these levels.
    """
    found: dict[str, float] = {}
    pooled: list[tuple[FloatArray, NDArray[np.bool_]]] = []
    for j, name in enumerate(VERTEBRAE):
        truth = present[:, j]
        kept = ~_near_edges(truth)
        if truth[kept].all() or not truth[kept].any():
            continue
        scores = probs[kept, j].astype(np.float64)
        found[name] = float(roc_auc_score(truth[kept], scores))
        pooled.append((scores, truth[kept]))
    if pooled:
        scores, truth = (np.concatenate(part) for part in zip(*pooled, strict=True))
        found["pooled"] = float(roc_auc_score(truth, scores))
    return found


def _near_edges(truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Slices within `EDGE` slices of a change between absent and present."""
    near = np.zeros(len(truth), np.bool_)
    for place in np.flatnonzero(truth[1:] != truth[:-1]) + 1:
        near[max(place - EDGE, 0) : place + EDGE] = True
    return near
