"""Shares with intervals that hold for few items and for several items of one patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.types import FloatArray

Z_95: Final = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: The figure.
        low: Lower end; None where no interval is defined.
        high: Upper end; None where no interval is defined.
    """

    value: float
    low: float | None
    high: float | None


def wilson_interval(share: FloatArray, counts: NDArray[Any]) -> FloatArray:
    """95 % interval of shares (Wilson, 1927), float64 (2, b), lower and upper ends.

    Args:
        share: float64 (b,), in [0, 1].
        counts: (b,), number of independent items, above 0.
    """
    z = Z_95
    centre = (share + z**2 / (2 * counts)) / (1 + z**2 / counts)
    half = z * np.sqrt(share * (1 - share) / counts + z**2 / (4 * counts**2)) / (1 + z**2 / counts)
    return np.clip([centre - half, centre + half], 0.0, 1.0)


def clustered_share(hits: NDArray[np.bool_], patients: NDArray[np.integer[Any]]) -> Estimate | None:
    """Share of hits, with Wilson's interval for the effective number of independent items.

    With several items per patient the effective number is p (1 - p) over the variance of the share
    between patients (Korn and Graubard, 1998), at most the number of items. Where all or none are
    hits that variance says nothing, and each patient counts once. With one item per patient it is
    Wilson's interval itself.

    Args:
        hits: bool (m,).
        patients: int (m,), number of each item's patient, not negative.

    Returns:
        None without an item.
    """
    if not len(hits):
        return None
    totals, own = np.bincount(patients), np.bincount(patients, hits)
    own, totals = own[totals > 0], totals[totals > 0]
    n, k = len(hits), len(totals)
    share = float(own.sum()) / n
    effective = float(n)
    if k < n:
        spread = float(((own - share * totals) ** 2).sum()) * k / max(k - 1, 1) / n**2
        between = share * (1 - share) / spread if spread > 0 else 0.0
        effective = min(float(n), between) if 0 < share < 1 and between > 0 else float(k)
    low, high = wilson_interval(np.array([share]), np.array([effective]))[:, 0]
    return Estimate(share, float(low), float(high))
