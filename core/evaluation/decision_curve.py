"""Decision curve: net benefit of acting on a model, against treating all or none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import PredictionsError
from core.evaluation.curves import ThresholdCounts


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit over threshold probabilities (Vickers and Elkin, 2006); "none" is 0 throughout.

    Attributes:
        thresholds: float64 (g,), p_t in (0, 1).
        model: float64 (g,), TP/n - FP/n p_t / (1 - p_t) when scores >= p_t are treated.
        treat_all: float64 (g,), the same when all are.
        prevalence: Share of positives, the highest possible net benefit.
    """

    thresholds: NDArray[np.float64]
    model: NDArray[np.float64]
    treat_all: NDArray[np.float64]
    prevalence: float


def decision_curve(
    counts: ThresholdCounts, thresholds: NDArray[np.float64] | None = None
) -> DecisionCurve:
    """Net benefit of a curve whose scores are probabilities.

    Args:
        counts: Counts of the scores.
        thresholds: p_t in (0, 1); 0.01, 0.02 … 0.99 if None.

    Raises:
        PredictionsError: A threshold is outside (0, 1).
    """
    at = np.arange(1, 100) / 100 if thresholds is None else np.asarray(thresholds, np.float64)
    if at.ndim != 1 or not bool(np.all((at > 0) & (at < 1))):
        raise PredictionsError(
            "Net benefit needs threshold probabilities above 0 and below 1; give such thresholds."
        )
    odds = at / (1.0 - at)
    prevalence = counts.n_positive / counts.n
    return DecisionCurve(
        thresholds=at,
        model=np.array([counts.at(p).net_benefit_at(p) for p in at.tolist()]),
        treat_all=prevalence - (1.0 - prevalence) * odds,
        prevalence=prevalence,
    )
