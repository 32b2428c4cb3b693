"""The conformal region of a patient's call, by split conformal prediction within each class.

Mondrian (class-conditional) split conformal prediction (Vovk, Gammerman & Shafer 2005).
For two classes and one probability it is two order statistics, so no package is needed.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import TrainingError
from core.models.abstention import CallRegion
from core.types import FloatArray

COVERAGE: Final = 0.9


def fit_region(
    probs: FloatArray,
    fractured: NDArray[np.bool_],
    *,
    coverage: float = COVERAGE,
    chosen_on: str = "",
) -> CallRegion:
    """Fit the region's two limits on studies that the networks were not trained on.

    With the conformal p-value of an answer, (1 + number of studies with that answer which are at
    least as unusual) / (1 + number of them), an answer is in the region if its p-value exceeds
    1 - coverage. Unusual means a low probability for fractured studies and a high one for the
    others. The true answer is then in the region of at least `coverage` of exchangeable studies,
    in each class.

    Args:
        probs: Patient probabilities, float64 (n,).
        fractured: Truth, bool (n,).
        coverage: Stated coverage, between 0 and 1.
        chosen_on: Description of the studies.

    Raises:
        TrainingError: One class is missing.
    """
    if fractured.all() or not fractured.any():
        raise TrainingError(
            "A conformal region cannot be fitted to studies of one class; give studies with and "
            "without fractures."
        )
    positive, negative = probs[fractured], probs[~fractured]
    return CallRegion(
        coverage=coverage,
        fractured_from=_lowest_kept(positive, 1 - coverage, least=0.0),
        not_fractured_to=-_lowest_kept(-negative, 1 - coverage, least=-1.0),
        fractured=len(positive),
        not_fractured=len(negative),
        chosen_on=chosen_on,
    )


def covered(region: CallRegion, probs: FloatArray, fractured: NDArray[np.bool_]) -> float:
    """Share of studies whose true answer is in the region of their probability."""
    inside = [
        region.contains(float(p), fractured=bool(y)) for p, y in zip(probs, fractured, strict=True)
    ]
    return float(np.mean(inside))


def _lowest_kept(scores: FloatArray, left_out: float, *, least: float) -> float:
    """Smallest score whose conformal p-value exceeds `left_out`; `least` if every score's does."""
    # The small term keeps 0.1 * 10 from being rounded down to 0.
    place = math.floor(left_out * (len(scores) + 1) + 1e-9)
    return least if place == 0 else float(np.sort(scores)[place - 1])
