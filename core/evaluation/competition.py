"""The RSNA 2022 competition's metric: weighted log loss over the patient and C1..C7."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.constants import (
    N_VERTEBRAE,
    RSNA_PROBABILITY_CLIP,
    WEIGHT_PATIENT_NEGATIVE,
    WEIGHT_PATIENT_POSITIVE,
    WEIGHT_VERTEBRA_NEGATIVE,
    WEIGHT_VERTEBRA_POSITIVE,
)
from core.errors import PredictionsError


@dataclass(frozen=True, slots=True)
class CompetitionLoss:
    """Weighted log loss, lower is better.

    Attributes:
        per_study_mean: Mean over studies of sum_j w_j BCE_j / sum_j w_j (the project's metric).
        global_mean: Sum of all w BCE / sum of all w, which weights studies with fractures more.
    """

    per_study_mean: float
    global_mean: float


def competition_loss(
    patient_probs: ArrayLike, vertebra_probs: ArrayLike, fractured: ArrayLike
) -> CompetitionLoss:
    """Score patients and vertebrae by weighted log loss in nats, probabilities clipped at 1e-15.

    Args:
        patient_probs: (n_studies,), p.
        vertebra_probs: (n_studies, 7), p_j for C1..C7.
        fractured: (n_studies, 7) booleans, y_j; the patient's truth is their maximum.

    Raises:
        PredictionsError: Shapes do not fit, there is no study, or a probability is NaN or
            outside [0, 1].
    """
    patient = np.asarray(patient_probs, dtype=np.float64)
    vertebrae = np.asarray(vertebra_probs, dtype=np.float64)
    labels = np.asarray(fractured, dtype=np.bool_)
    shape = (len(patient), N_VERTEBRAE) if patient.ndim == 1 else None
    if len(patient) == 0 or vertebrae.shape != shape or labels.shape != shape:
        raise PredictionsError(
            "The competition's metric needs one patient score, seven vertebra scores and seven "
            f"labels per study, but got shapes {patient.shape}, {vertebrae.shape}, {labels.shape}; "
            "align the tables by study."
        )
    probs = np.column_stack([patient, vertebrae])
    truth = np.column_stack([labels.any(axis=1), labels])
    if not bool(np.all((probs >= 0) & (probs <= 1))):
        raise PredictionsError("A probability is NaN or outside [0, 1]; predict the studies again.")
    weights = _weights(truth)
    losses = weights * _cross_entropy(probs, truth)
    return CompetitionLoss(
        per_study_mean=float((losses.sum(axis=1) / weights.sum(axis=1)).mean()),
        global_mean=float(losses.sum() / weights.sum()),
    )


def _weights(truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights (n_studies, 8); column 0 is the patient."""
    weights = np.where(truth, WEIGHT_VERTEBRA_POSITIVE, WEIGHT_VERTEBRA_NEGATIVE)
    weights[:, 0] = np.where(truth[:, 0], WEIGHT_PATIENT_POSITIVE, WEIGHT_PATIENT_NEGATIVE)
    return weights


def _cross_entropy(probs: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Binary cross-entropy in nats, same shape as `probs`."""
    clipped = np.clip(probs, RSNA_PROBABILITY_CLIP, 1.0 - RSNA_PROBABILITY_CLIP)
    return -np.log(np.where(truth, clipped, 1.0 - clipped))
