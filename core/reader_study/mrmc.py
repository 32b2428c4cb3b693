"""Figures of several readers on the same cases: mean, interval and test, both drawn at random.

The model is Obuchowski and Rockette's (1995): a reader's figure is the mean over all readers, plus
the reader's own deviation, plus an error that correlates between readers as they saw the same
cases. Covariances of the errors are jackknifed over cases; degrees of freedom are those of Hillis
(2007). For the difference of two treatments it is the test that Dorfman, Berbaum and Metz (1992)
make of pseudovalues (Hillis et al., 2005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from core.types import FloatArray

_NOTHING: Final = 1e-12
"""A variance below this is rounding error."""


@dataclass(frozen=True, slots=True, eq=False)
class ReaderFigure:
    """A figure of one reader, and how much each case matters to it.

    Attributes:
        value: AUC, sensitivity or specificity, or a difference of two of them.
        influence: float64 (n_cases,): products summed over cases are the jackknife's covariances;
            0 for a case that the reader did not read; None where a class has fewer than two cases.
    """

    value: float
    influence: FloatArray | None

    def minus(self, other: ReaderFigure) -> ReaderFigure:
        """The difference of two figures over the same list of cases."""
        one, two = self.influence, other.influence
        return ReaderFigure(
            self.value - other.value, None if one is None or two is None else one - two
        )


@dataclass(frozen=True, slots=True)
class ReaderMean:
    """Mean of a figure over readers.

    Attributes:
        value: The mean; with two groups of readers, the mean of their means.
        low: Lower end of the 95 % interval; None where no variance can be estimated.
        high: Upper end.
        standard_error: For other readers and other cases; of one reader, for other cases only.
        degrees: Degrees of freedom; None for the normal distribution.
        p_value: Two-sided, of the hypothesis that the mean is 0.
        n_readers: Number of readers.
    """

    value: float
    low: float | None
    high: float | None
    standard_error: float | None
    degrees: float | None
    p_value: float | None
    n_readers: int


def auc_figure(
    ratings: FloatArray, truth: NDArray[np.bool_], read: NDArray[np.bool_]
) -> ReaderFigure | None:
    """Area under a reader's ROC curve, ties counting half.

    Args:
        ratings: float64 (n_cases,); those of cases that were not read are ignored.
        truth: bool (n_cases,).
        read: bool (n_cases,), cases that the reader read.

    Returns:
        None where the reader saw one class only.
    """
    positive, negative = np.flatnonzero(read & truth), np.flatnonzero(read & ~truth)
    if not len(positive) or not len(negative):
        return None
    difference = ratings[positive][:, None] - ratings[negative][None]
    wins = (np.sign(difference) + 1) / 2
    value = float(wins.mean())
    if min(len(positive), len(negative)) < 2:
        return ReaderFigure(value, None)
    total = wins.sum()
    without = np.full(len(truth), np.nan)
    without[positive] = (total - wins.sum(1)) / ((len(positive) - 1) * len(negative))
    without[negative] = (total - wins.sum(0)) / (len(positive) * (len(negative) - 1))
    return ReaderFigure(value, _influence(without))


def share_figure(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> ReaderFigure | None:
    """Share of a reader's hits, such as the sensitivity.

    Args:
        hits: bool (n_cases,).
        among: bool (n_cases,), the cases that count.

    Returns:
        None without a case.
    """
    places = np.flatnonzero(among)
    n = len(places)
    if not n:
        return None
    value = float(hits[places].mean())
    if n < 2:
        return ReaderFigure(value, None)
    without = np.full(len(hits), np.nan)
    without[places] = (hits[places].sum() - hits[places]) / (n - 1)
    return ReaderFigure(value, _influence(without))


def mean_over_readers(
    figures: list[ReaderFigure],
    *,
    groups: list[int] | None = None,
    bounds: tuple[float, float] = (-1.0, 1.0),
) -> ReaderMean | None:
    """Mean of a figure, for readers and cases drawn at random.

    Args:
        figures: One per reader, over the same list of cases.
        groups: Group of each reader, where groups read different cases under a treatment; the mean
            is then that of the groups' means, so that the difficulty of the cases cancels.
        bounds: Smallest and largest value that the figure can have.

    Returns:
        None without a reader. Of one reader, or where no group has two, the interval is for other
        cases alone; where every figure is the same and no case matters there is none.
    """
    if not figures:
        return None
    values = np.array([figure.value for figure in figures])
    places = np.unique(groups if groups is not None else [0] * len(values), return_inverse=True)[1]
    sizes = np.bincount(places)
    weights = 1.0 / (len(sizes) * sizes[places])
    mean = float(weights @ values)
    influences = [figure.influence for figure in figures if figure.influence is not None]
    if len(influences) < len(figures):
        return ReaderMean(mean, None, None, None, None, None, len(figures))
    spread, error, degrees = _variance(values, np.stack(influences), places, weights)
    variance = spread + error
    if variance < _NOTHING:
        return ReaderMean(mean, None, None, None, None, None, len(figures))
    deviation = math.sqrt(variance)
    # Hillis (2007): only the readers' part of the variance has few degrees of freedom.
    if degrees is None or spread < _NOTHING:
        freedom, quantile = None, float(norm.ppf(0.975))
        p_value = float(2 * norm.sf(abs(mean) / deviation))
    else:
        freedom = degrees * (variance / spread) ** 2
        quantile = float(t.ppf(0.975, freedom))
        p_value = float(2 * t.sf(abs(mean) / deviation, freedom))
    half = quantile * deviation
    low, high = (float(np.clip(end, *bounds)) for end in (mean - half, mean + half))
    return ReaderMean(mean, low, high, deviation, freedom, p_value, len(figures))


def _variance(
    values: FloatArray, influences: FloatArray, places: NDArray[np.intp], weights: FloatArray
) -> tuple[float, float, float | None]:
    """Variance of the weighted mean: the readers' part, the cases' part, degrees of freedom."""
    covariance = influences @ influences.T
    sizes = np.bincount(places)
    degrees = len(values) - len(sizes)
    if degrees == 0:
        return 0.0, float(weights @ covariance @ weights), None
    means = np.bincount(places, values) / sizes
    mean_square = float(((values - means[places]) ** 2).sum()) / degrees
    others = ~np.eye(len(values), dtype=bool)
    same = (places[:, None] == places[None]) & others
    # The spread between readers holds each one's own error less the errors that they share.
    shared = float(covariance[same].mean())
    square = float((weights**2).sum())
    between = float((np.outer(weights, weights) * covariance)[others].sum())
    return square * mean_square, max(square * shared + between, 0.0), float(degrees)


def _influence(without: FloatArray) -> FloatArray:
    """Deviations of the figure without each case, scaled to the jackknife's covariances."""
    known = np.isfinite(without)
    n = int(known.sum())
    deviation = np.where(known, without - without[known].mean(), 0.0)
    return np.sqrt((n - 1) / n) * deviation
