"""Permutation tests: does a group of units have more errors than its share of the errors?

A unit is a study, or a vertebra where a fact belongs to a single one. Its residual is the number of
its wrong calls minus the number expected from all units. Under the null hypothesis that a group
tells nothing about the calls, residuals may be exchanged between units of one stratum, so their sum
over a group is compared with its values under random exchanges. No approximation is needed where
errors are rare or of few patients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.types import FloatArray

_NUMBERS_AT_ONCE: Final = 4_000_000
"""Bounds the memory of permuted residuals: 32 MB of float64."""
_TIE: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is exchanged.

    Attributes:
        residuals: float64 (u,), wrong calls minus expected ones.
        strata: int (u,); residuals are exchanged within a stratum.
    """

    residuals: FloatArray
    strata: NDArray[np.integer[Any]]

    def expected(self, members: NDArray[np.bool_]) -> FloatArray:
        """Mean over all exchanges of the sum of residuals over each group, (g,)."""
        _, places = np.unique(self.strata, return_inverse=True)
        counts = np.bincount(places)
        means = np.bincount(places, self.residuals) / counts
        return means[places] @ members

    def spread(self, members: NDArray[np.bool_]) -> FloatArray:
        """Standard deviation over all exchanges of the sum over each group, (g,).

        A sum over m of n values drawn without replacement has the variance m (n - m) / (n (n - 1))
        times the sum of their squared deviations.
        """
        variance = np.zeros(members.shape[1])
        for stratum in np.unique(self.strata):
            rows = self.strata == stratum
            values = self.residuals[rows]
            n, m = len(values), members[rows].sum(axis=0)
            if n > 1:
                squares = float(((values - values.mean()) ** 2).sum())
                variance += m * (n - m) / (n * (n - 1)) * squares
        return np.sqrt(variance)

    def exchanged(self, permutations: int, seed: int) -> Iterator[FloatArray]:
        """Yield residuals after random exchanges, float64 (some, u), `permutations` rows in all."""
        rng = np.random.default_rng(seed)
        rows = [np.flatnonzero(self.strata == stratum) for stratum in np.unique(self.strata)]
        at_once = max(1, _NUMBERS_AT_ONCE // max(len(self.residuals), 1))
        for start in range(0, permutations, at_once):
            n = min(at_once, permutations - start)
            drawn = np.tile(self.residuals, (n, 1))
            for places in rows:
                drawn[:, places] = rng.permuted(drawn[:, places], axis=1)
            yield drawn


def permutation_p_values(
    units: Units, members: NDArray[np.bool_], *, permutations: int, seed: int
) -> FloatArray:
    """Two-sided p-value of each group on its own, (g,).

    One is added to both counts, as the observed arrangement is one of them (Phipson and Smyth,
    2010): no p-value is 0.

    Args:
        units: What is exchanged.
        members: bool (u, g), units of each group.
        permutations: Number of random exchanges, >= 1; the same for all groups.
        seed: Seed of the exchanges.
    """
    weights, expected = members.astype(np.float64), units.expected(members)
    limit = np.abs(units.residuals @ weights - expected) - _TIE
    extreme = np.zeros(members.shape[1], np.int64)
    for drawn in units.exchanged(permutations, seed):
        extreme += (np.abs(drawn @ weights - expected) >= limit).sum(axis=0)
    return (1 + extreme) / (1 + permutations)


def largest_p_values(
    units: Units, members: NDArray[np.bool_], *, permutations: int, seed: int
) -> FloatArray:
    """p-value of each group among all of them, one-sided: more errors than by chance, (g,).

    Each group's sum is standardised, and its p-value is the share of exchanges in which *any* group
    reaches it (Westfall and Young, 1993, single step). This controls the family-wise error of a
    search over all these groups, however they overlap.

    Args:
        units: What is exchanged.
        members: bool (u, g), units of each group that the search looked at.
        permutations: Number of random exchanges, >= 1.
        seed: Seed of the exchanges.
    """
    weights, expected = members.astype(np.float32), units.expected(members)
    spread = units.spread(members)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > _TIE)
    observed = (units.residuals @ weights - expected) * scale
    extreme = np.zeros(members.shape[1], np.int64)
    for drawn in units.exchanged(permutations, seed):
        largest = ((drawn.astype(np.float32) @ weights - expected) * scale).max(axis=1)
        largest.sort()
        extreme += len(largest) - np.searchsorted(largest, observed - 1e-4)
    return (1 + extreme) / (1 + permutations)
