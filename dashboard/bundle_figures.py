"""What a bundle's JSON files say for the reader, whatever of it is there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.models.bundles import BundleInfo

DEFAULT_THRESHOLD: Final = 0.5
Level = Literal["patient", "vertebra"]


@dataclass(frozen=True, slots=True)
class Headline:
    """A bundle's main held-out figure with its interval; NaN where one is not given."""

    name: str
    value: float
    low: float
    high: float
    n_patients: int | None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and the rule that chose it; the rule is "" where nothing chose it."""

    threshold: float
    rule: str


def headline(bundle: BundleInfo) -> Headline | None:
    """The `headline` of `metrics.json`; None where there is none."""
    entry = (bundle.metrics or {}).get("headline")
    if not isinstance(entry, dict):
        return None
    value = _number(entry.get("value"))
    if math.isnan(value):
        return None
    count = entry.get("n_patients")
    return Headline(
        name=str(entry.get("name") or "held-out figure"),
        value=value,
        low=_number(entry.get("low")),
        high=_number(entry.get("high")),
        n_patients=count if isinstance(count, int) else None,
    )


def operating_point(bundle: BundleInfo, level: Level) -> OperatingPoint:
    """The threshold that `operating_points.json` gives for a level, else 0.5 and no rule."""
    entry = (bundle.operating_points or {}).get(level)
    if isinstance(entry, dict):
        threshold = _number(entry.get("threshold"))
        if 0 <= threshold <= 1:
            return OperatingPoint(threshold, str(entry.get("rule") or "given"))
    return OperatingPoint(DEFAULT_THRESHOLD, "")


def trained_on_synthetic(bundle: BundleInfo) -> bool | None:
    """Whether the bundle says it was trained on generated studies; None where it does not say."""
    said = bundle.config.trained_on.get("synthetic")
    return said if isinstance(said, bool) else None


def _number(value: Any) -> float:  # noqa: ANN401 - any JSON value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return math.nan
