"""Undo what balanced sampling does to probabilities."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def prior_shift(targets: NDArray[np.bool_] | NDArray[np.float32]) -> float:
    """Log odds by which a network that saw as many positives as negatives overrates.

    A network trained on a balanced draw learns posteriors for a prior of 1/2. Adding
    log(rate / (1 - rate)) to its logit gives them for the cohort's own rate (prior correction,
    King and Zeng 2001, "Logistic Regression in Rare Events Data"). The order of scores, hence AUC,
    stays as it is. The weights of the loss are part of the method and are left in.

    Args:
        targets: (n,) or (n, 1), truth of every slice of the training cohort, of both classes.

    Raises:
        ValueError: There is one class only.
    """
    rate = float(np.mean(np.asarray(targets, dtype=np.float64)))
    if not 0 < rate < 1:
        raise ValueError("The prior of a single class has no log odds.")
    return math.log(rate / (1 - rate))


def shift_logit(head: nn.Sequential, shift: float) -> None:
    """Add `shift` to the single logit of a head, in place.

    Raises:
        ValueError: The head does not end in a linear layer with one output and a bias.
    """
    last = head[-1]
    if not isinstance(last, nn.Linear) or last.out_features != 1:
        raise ValueError("Only a head with a single logit can be shifted.")
    with torch.no_grad():
        last.bias.add_(shift)
