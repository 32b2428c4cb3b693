"""The operating points in a bundle, with a default for missing ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.models.bundles import BundleInfo

DEFAULT_THRESHOLD: Final = 0.5
Level = Literal["slice", "patient", "vertebra", "box"]


@dataclass(frozen=True, slots=True)
class SavedOperatingPoint:
    """A threshold and the rule that chose it; the rule is "" for the default threshold."""

    threshold: float
    rule: str


def operating_point(bundle: BundleInfo, level: Level) -> SavedOperatingPoint:
    """The threshold that `operating_points.json` gives for a level, else 0.5 and no rule."""
    entry = (bundle.operating_points or {}).get(level)
    if isinstance(entry, dict):
        threshold = number_or_nan(entry.get("threshold"))
        if 0 <= threshold <= 1:
            return SavedOperatingPoint(threshold, str(entry.get("rule") or "given"))
    return SavedOperatingPoint(DEFAULT_THRESHOLD, "")


def number_or_nan(value: Any) -> float:  # noqa: ANN401 - any JSON value
    """A JSON number as a float; NaN for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return math.nan
