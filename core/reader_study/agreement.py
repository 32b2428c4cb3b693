"""Agreement beyond chance: Fleiss' kappa of many readers, Cohen's of two."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from core.evaluation.estimates import Z_95, Estimate
from core.types import FloatArray

_NOTHING: Final = 1e-12


def fleiss_kappa(counts: ArrayLike) -> Estimate | None:
    """Agreement of several readers (Fleiss, 1971), with an interval jackknifed over cases.

    Cases may have different numbers of readers: each pair of readers of a case counts alike within
    it, each case alike (Fleiss and Cuzick, 1979). Cases with fewer than two readers are left out.

    Args:
        counts: (n_cases, n_answers), readers who gave each answer.

    Returns:
        None where fewer than two cases are left, or where only one answer was ever given, so that
        chance cannot be told from agreement. Without an interval where no case matters.
    """
    table = np.asarray(counts, dtype=np.float64)
    table = table[table.sum(axis=1) >= 2] if table.size else table
    if len(table) < 2 or (value := _fleiss(table)) is None:
        return None
    without = [_fleiss(np.delete(table, k, axis=0)) for k in range(len(table))]
    known = np.array([one for one in without if one is not None])
    n = len(known)
    if n < 2 or n < len(table):
        return Estimate(value, None, None)
    error = math.sqrt((n - 1) / n * float(((known - known.mean()) ** 2).sum()))
    return _estimate(value, error, float(t.ppf(0.975, n - 1)))


def _fleiss(table: FloatArray) -> float | None:
    readers = table.sum(axis=1)
    agreed = ((table * (table - 1)).sum(axis=1) / (readers * (readers - 1))).mean()
    shares = table.sum(axis=0) / table.sum()
    chance = float((shares**2).sum())
    return None if 1 - chance < _NOTHING else float((agreed - chance) / (1 - chance))


def cohen_kappa(first: ArrayLike, second: ArrayLike) -> Estimate | None:
    """Agreement of two (Cohen, 1960), with the interval of Fleiss, Cohen and Everitt (1969).

    Args:
        first: bool (n,), calls of one.
        second: bool (n,), calls of the other on the same cases.

    Returns:
        None without a case, or where both gave one and the same answer to all. Without an interval
        where the variance is 0, as in perfect agreement.
    """
    one, other = np.asarray(first, dtype=np.intp), np.asarray(second, dtype=np.intp)
    n = len(one)
    if not n:
        return None
    table = np.bincount(2 * one + other, minlength=4).reshape(2, 2) / n
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed, chance = float(np.trace(table)), float(rows @ columns)
    if 1 - chance < _NOTHING:
        return None
    kappa = (observed - chance) / (1 - chance)
    weights = np.eye(2) - (rows[None] + columns[:, None]) * (1 - kappa)
    first_moment = float((table * weights**2).sum())
    variance = (first_moment - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    return _estimate(kappa, math.sqrt(max(variance, 0.0)), Z_95)


def _estimate(value: float, error: float, quantile: float) -> Estimate:
    if error**2 < _NOTHING:
        return Estimate(value, None, None)
    half = quantile * error
    return Estimate(value, max(value - half, -1.0), min(value + half, 1.0))
