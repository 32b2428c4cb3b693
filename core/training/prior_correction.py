"""Prior correction of probabilities after balanced sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from core.models.slice_model import OutputLayer


def prior_shifts(
    targets: NDArray[np.bool_] | NDArray[np.float32], positive: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Log odds to add to each logit of a network trained on as many positive as negative slices.

    Output j occurs at the rate r_j in the cohort and at the rate b_j, the mean of its rates among
    positive and among negative slices, in a balanced draw; the shift is
    log(r_j / (1 - r_j)) - log(b_j / (1 - b_j)) (prior correction, King and Zeng 2001, "Logistic
    Regression in Rare Events Data"). It keeps the order of an output's scores, and so its AUC. The
    weights of the loss are part of the method and are not corrected. An output that never, or
    always, occurs keeps its logit.

    Args:
        targets: (n, outputs) truth of every slice of the training cohort, in [0, 1].
        positive: bool (n,), class by which the draw was balanced; both classes must occur.

    Returns:
        float64 (outputs,).

    Raises:
        ValueError: All slices are positive, or none is.
    """
    if positive.all() or not positive.any():
        raise ValueError("The prior of a single class has no log odds.")
    truth = np.asarray(targets, dtype=np.float64)
    share = float(positive.mean())
    among_positive, among_negative = truth[positive].mean(axis=0), truth[~positive].mean(axis=0)

    def log_ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log of the cohort's rate over the draw's; 0 where both are 0."""
        cohort, drawn = share * one + (1 - share) * other, (one + other) / 2
        return np.log(np.divide(cohort, drawn, out=np.ones_like(drawn), where=drawn > 0))

    return log_ratio(among_positive, among_negative) - log_ratio(
        1 - among_positive, 1 - among_negative
    )


def shift_logits(layers: Sequence[OutputLayer], shifts: NDArray[np.float64]) -> None:
    """Add a shift to each logit, in place.

    Args:
        layers: A model's `output_layers`.
        shifts: (outputs,), in the order of the logits.

    Raises:
        ValueError: There are more or fewer shifts than logits.
    """
    outputs = sum(layer.out_features for layer in layers)
    if shifts.shape != (outputs,):
        raise ValueError(f"{outputs} logits need as many shifts, not {shifts.shape}.")
    start = 0
    with torch.no_grad():
        for layer in layers:
            part = torch.as_tensor(shifts[start : start + layer.out_features])
            layer.bias.add_(part.to(layer.bias))
            start += layer.out_features
