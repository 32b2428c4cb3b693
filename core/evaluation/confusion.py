"""Confusion counts of calls against truth, and the ratios of the four counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.errors import PredictionsError


@dataclass(frozen=True, slots=True)
class ConfusionCounts:
    """Calls against truth; a score >= threshold is a call.

    A ratio whose denominator is 0 is 0: precision without a call, recall without a positive,
    specificity without a negative, F1 without either, MCC where a row or a column is empty.
    Balanced accuracy averages over the classes that occur.
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def n(self) -> int:
        """All items."""
        return self.n_positive + self.n_negative

    @property
    def n_positive(self) -> int:
        """Items whose truth is positive."""
        return self.true_positives + self.false_negatives

    @property
    def n_negative(self) -> int:
        """Items whose truth is negative."""
        return self.true_negatives + self.false_positives

    @property
    def accuracy(self) -> float:
        """Share of right calls."""
        return _ratio(self.true_positives + self.true_negatives, self.n)

    @property
    def precision(self) -> float:
        """Share of calls that are right; 0 without a call."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Sensitivity: share of positives that are called; 0 without a positive."""
        return _ratio(self.true_positives, self.n_positive)

    @property
    def specificity(self) -> float:
        """Share of negatives that are not called; 0 without a negative."""
        return _ratio(self.true_negatives, self.n_negative)

    @property
    def negative_predictive_value(self) -> float:
        """Share of the items not called that are negative; 0 where all are called."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without a call and a positive."""
        called = self.true_positives + self.false_positives
        return _ratio(2 * self.true_positives, called + self.n_positive)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of recall and specificity over the classes that occur."""
        rates = []
        if self.n_positive:
            rates.append(self.recall)
        if self.n_negative:
            rates.append(self.specificity)
        return sum(rates) / len(rates) if rates else 0.0

    @property
    def mcc(self) -> float:
        """Matthews correlation coefficient (Matthews, 1975), in [-1, 1]."""
        called = self.true_positives + self.false_positives
        product = called * self.n_positive * self.n_negative * (self.n - called)
        if product == 0:
            return 0.0
        numerator = (
            self.true_positives * self.true_negatives - self.false_positives * self.false_negatives
        )
        return numerator / math.sqrt(product)

    def net_benefit_at(self, threshold: float) -> float:
        """Net benefit of acting on the calls: TP/n - FP/n p_t / (1 - p_t).

        Vickers and Elkin, 2006.

        Args:
            threshold: p_t in [0, 1), at which a false alarm costs p_t : (1 - p_t) of a miss.

        Raises:
            PredictionsError: The threshold is outside [0, 1).
        """
        if not 0.0 <= threshold < 1.0:
            raise PredictionsError(
                "Net benefit needs a threshold probability of at least 0 and below 1."
            )
        odds = threshold / (1.0 - threshold)
        return (self.true_positives - self.false_positives * odds) / self.n if self.n else 0.0

    def ppv_at(self, prevalence: float) -> float:
        """Precision where `prevalence` of the items are positive, by Bayes' rule; 0 without a call.

        Raises:
            PredictionsError: The prevalence is outside [0, 1].
        """
        right = self.recall * _checked(prevalence)
        return _share(right, (1.0 - self.specificity) * (1.0 - prevalence))

    def npv_at(self, prevalence: float) -> float:
        """Negative predictive value where `prevalence` are positive; 0 where all are called.

        Raises:
            PredictionsError: The prevalence is outside [0, 1].
        """
        wrong = (1.0 - self.recall) * _checked(prevalence)
        return _share(self.specificity * (1.0 - prevalence), wrong)


def _checked(prevalence: float) -> float:
    if not 0.0 <= prevalence <= 1.0:
        raise PredictionsError(f"A prevalence of {prevalence} is outside [0, 1]; give a share.")
    return prevalence


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part + rest > 0 else 0.0
