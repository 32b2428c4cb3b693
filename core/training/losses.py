"""The weighted binary cross-entropy of the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from core.constants import (
    WEIGHT_PATIENT_NEGATIVE,
    WEIGHT_PATIENT_POSITIVE,
    WEIGHT_VERTEBRA_NEGATIVE,
    WEIGHT_VERTEBRA_POSITIVE,
)


@dataclass(frozen=True, slots=True)
class WeightedBCE:
    """Binary cross-entropy from logits, each term weighted by its truth.

    Attributes:
        negative: Weight of a term whose target is 0.
        positive: Weight of a term whose target is 1.
    """

    negative: float
    positive: float

    def sums(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Give sum(w BCE) and sum(w) as two float32 scalars, to be added up over batches."""
        weights = self.negative + (self.positive - self.negative) * targets
        terms = functional.binary_cross_entropy_with_logits(
            logits.float(), targets, weight=weights, reduction="sum"
        )
        return terms, weights.sum()

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Give the weighted mean, sum(w BCE) / sum(w).

        Dividing by the weights, as the RSNA 2022 metric does, keeps the loss in nats whatever
        their scale, so that one threshold of early stopping means the same for every model.

        Args:
            logits: Float (n, outputs).
            targets: Float (n, outputs) in [0, 1].

        Returns:
            float32 scalar.

        Raises:
            ValueError: The shapes differ.
        """
        if logits.shape != targets.shape:
            raise ValueError(
                f"Logits {tuple(logits.shape)} and targets {tuple(targets.shape)} must have "
                "one shape."
            )
        total, weight = self.sums(logits, targets)
        return total / torch.clamp(weight, min=torch.finfo(weight.dtype).tiny)


LOSSES: Final[dict[str, WeightedBCE]] = {
    "vertebra": WeightedBCE(WEIGHT_VERTEBRA_NEGATIVE, WEIGHT_VERTEBRA_POSITIVE),
    "fracture": WeightedBCE(WEIGHT_PATIENT_NEGATIVE, WEIGHT_PATIENT_POSITIVE),
}
"""By task; a Type 1 fracture logit speaks of the whole slice and takes the patient's weights."""
