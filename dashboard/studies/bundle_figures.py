"""What a bundle's JSON files say for the reader, whatever of it is there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.models.bundles import BundleInfo
from core.models.operating_points import (
    DEFAULT_THRESHOLD,
    SavedOperatingPoint,
    number_or_nan,
    operating_point,
)

__all__ = [
    "DEFAULT_THRESHOLD",
    "Headline",
    "SavedOperatingPoint",
    "headline",
    "operating_point",
    "trained_on_synthetic",
]


@dataclass(frozen=True, slots=True)
class Headline:
    """A bundle's main held-out figure with its interval; NaN where one is not given."""

    name: str
    value: float
    low: float
    high: float
    n_patients: int | None


def headline(bundle: BundleInfo) -> Headline | None:
    """The `headline` of `metrics.json`; None where there is none."""
    entry = (bundle.metrics or {}).get("headline")
    if not isinstance(entry, dict):
        return None
    value = number_or_nan(entry.get("value"))
    if math.isnan(value):
        return None
    count = entry.get("n_patients")
    return Headline(
        name=str(entry.get("name") or "held-out figure"),
        value=value,
        low=number_or_nan(entry.get("low")),
        high=number_or_nan(entry.get("high")),
        n_patients=count if isinstance(count, int) else None,
    )


def trained_on_synthetic(bundle: BundleInfo) -> bool | None:
    """Whether the bundle says it was trained on generated studies; None where it does not say."""
    said = bundle.config.trained_on.get("synthetic")
    return said if isinstance(said, bool) else None
