"""The weighted binary cross-entropy of the method, for every task and type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import functional

from core.constants import (
    N_VERTEBRAE,
    WEIGHT_PATIENT_NEGATIVE,
    WEIGHT_PATIENT_POSITIVE,
    WEIGHT_VERTEBRA_NEGATIVE,
    WEIGHT_VERTEBRA_POSITIVE,
    HeadName,
)
from core.errors import ConfigError
from core.training.map_loss import MapLoss

Target = Literal["presence", "fractured", "any fractured"]
DEFAULT_ALPHA: Final = 2.0
"""Weight of Type 3's fracture loss against its vertebra loss."""


@dataclass(frozen=True, slots=True)
class WeightedBCE:
    """Binary cross-entropy from logits, each term weighted by its truth.

    A truth t between 0 and 1, such as a vertebra model's probability, counts as a truth of 1 with
    weight t and a truth of 0 with weight 1 - t: the expected loss.

    Attributes:
        negative: Weight of a term whose target is 0.
        positive: Weight of a term whose target is 1.
    """

    negative: float
    positive: float

    def sums(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return sum(w BCE) and sum(w) as two float32 scalars, to be summed over batches.

        Args:
            logits: Float (n, outputs).
            targets: Float (n, outputs) in [0, 1].

        Raises:
            ValueError: The shapes differ.
        """
        if logits.shape != targets.shape:
            raise ValueError(
                f"Logits {tuple(logits.shape)} and targets {tuple(targets.shape)} must have "
                "one shape."
            )
        # Filled on the device: to send a number there waits for all work on a GPU.
        ratio = logits.new_full((), self.positive / self.negative, dtype=torch.float32)
        total = functional.binary_cross_entropy_with_logits(
            logits.float(), targets, pos_weight=ratio, reduction="sum"
        )
        weights = self.negative + (self.positive - self.negative) * targets
        return self.negative * total, weights.sum()


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a model's loss.

    Attributes:
        columns: Columns of the logits.
        target: Truth of these logits: v_ij, y_ij, or y_i = max_j y_ij.
        bce: Weighted cross-entropy of logits and truth.
        factor: Weight of the term.
    """

    columns: slice
    target: Target
    bce: WeightedBCE
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Criterion:
    """The loss of one model: a sum of terms, each a weighted mean over slices and vertebrae.

    Attributes:
        terms: Parts of the loss; together they cover all logits.
        map_loss: Loss of a dense model's maps; None for other models.
    """

    terms: tuple[Term, ...]
    map_loss: MapLoss | None = None

    @property
    def outputs(self) -> int:
        """Number of logits."""
        return self.terms[-1].columns.stop

    def __call__(self, logits: Tensor, presence: Tensor, fractured: Tensor) -> Tensor:
        """Return the loss of a batch, without that of maps.

        Args:
            logits: Float (n, outputs) of the model.
            presence: float32 (n, 7), v_ij in [0, 1].
            fractured: float32 (n, 7), y_ij = y_j v_ij in [0, 1].

        Returns:
            float32 scalar.

        Raises:
            ValueError: A shape does not fit the model.
        """
        return self.combine(*self.sums(logits, presence, fractured))

    def sums(self, logits: Tensor, presence: Tensor, fractured: Tensor) -> tuple[Tensor, Tensor]:
        """Return sum(w BCE) and sum(w) of each term, float32 (terms,) each.

        Summed over batches and processes they are the input of `combine`.

        Raises:
            ValueError: A shape does not fit the model.
        """
        if logits.ndim != 2 or logits.shape[1] != self.outputs:
            raise ValueError(
                f"Logits need the shape (n, {self.outputs}), but have {tuple(logits.shape)}."
            )
        parts = [
            term.bce.sums(logits[:, term.columns], _truth(term.target, presence, fractured))
            for term in self.terms
        ]
        return torch.stack([part[0] for part in parts]), torch.stack([part[1] for part in parts])

    def combine(self, totals: Tensor, weights: Tensor) -> Tensor:
        """Return the loss from sums: sum over terms of factor * total / weight.

        Dividing by the weights, as the RSNA 2022 metric does, keeps the loss in nats whatever
        their scale, so that one threshold of early stopping means the same for every model.

        Args:
            totals: Float (terms,), sum(w BCE); for maps one more, the sum of their loss.
            weights: Float (terms,), sum(w); for maps one more, the number of cells with a line.
        """
        floor = weights.new_full(weights.shape, torch.finfo(weights.dtype).tiny)
        # Without a cell that shows a line, the sum over the others stands by itself.
        floor[len(self.terms) :] = 1.0
        means = totals / torch.maximum(weights, floor)
        factors = self._factors[: len(totals)]
        weighted = [factor * mean for factor, mean in zip(factors, means, strict=True)]
        return torch.stack(weighted).sum()

    @property
    def _factors(self) -> tuple[float, ...]:
        of_maps = () if self.map_loss is None else (self.map_loss.factor,)
        return (*(term.factor for term in self.terms), *of_maps)

    def targets(self, presence: Tensor, fractured: Tensor) -> Tensor:
        """The truth of each logit, float32 (n, outputs)."""
        return torch.cat([_truth(term.target, presence, fractured) for term in self.terms], dim=1)


def loss_for(
    task: str, type: int, alpha: float = DEFAULT_ALPHA, head: HeadName = "pooled"
) -> Criterion:
    """Look up the loss of a model.

    Terms about a vertebra weigh 1 (absent) and 2 (present), terms about the slice as a whole 7 and
    14, as in the RSNA 2022 metric::

        vertebra 1, 2   BCE_1/2(v_ij)
        fracture 1      BCE_7/14(f_i), truth y_i = max_j y_ij
        fracture 2      BCE_1/2(f_ij)
        fracture 3      alpha * BCE_1/2(f_ij) + BCE_1/2(v_ij)

    Args:
        task: "vertebra" or "fracture".
        type: The model's type.
        alpha: Weight of Type 3's fracture loss; unused for other types.
        head: A dense model's maps have a loss of their own, weighted as the fracture loss.

    Raises:
        ConfigError: There is no such model, or `alpha` is not above 0.
    """
    if not alpha > 0:
        raise ConfigError(f"alpha is the weight of a loss and must be above 0, but it is {alpha}.")
    seven = slice(0, N_VERTEBRAE)
    match task, type:
        case "vertebra", 1 | 2:
            terms = (Term(seven, "presence", _VERTEBRA),)
        case "fracture", 1:
            terms = (Term(slice(0, 1), "any fractured", _SLICE),)
        case "fracture", 2:
            terms = (Term(seven, "fractured", _VERTEBRA),)
        case "fracture", 3:
            other_seven = slice(N_VERTEBRAE, 2 * N_VERTEBRAE)
            terms = (
                Term(seven, "fractured", _VERTEBRA, alpha),
                Term(other_seven, "presence", _VERTEBRA),
            )
        case _:
            raise ConfigError(f"There is no {task} model of type {type}, so it has no loss.")
    maps = terms[0].columns.stop
    return Criterion(terms, MapLoss(maps, terms[0].factor) if head == "dense" else None)


def _truth(target: Target, presence: Tensor, fractured: Tensor) -> Tensor:
    match target:
        case "presence":
            return presence
        case "fractured":
            return fractured
        case "any fractured":
            return fractured.amax(dim=1, keepdim=True)


_VERTEBRA: Final = WeightedBCE(WEIGHT_VERTEBRA_NEGATIVE, WEIGHT_VERTEBRA_POSITIVE)
_SLICE: Final = WeightedBCE(WEIGHT_PATIENT_NEGATIVE, WEIGHT_PATIENT_POSITIVE)
