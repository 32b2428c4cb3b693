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
    """A threshold and where it comes from.

    Attributes:
        threshold: A score >= threshold is a call.
        rule: The rule that chose it; "" for the default threshold.
        origin: "shipped", or who set it and when; "" for the default threshold.
    """

    threshold: float
    rule: str
    origin: str = ""


def operating_point(bundle: BundleInfo, level: Level) -> SavedOperatingPoint:
    """The threshold that this installation has set for a level, else the shipped one, else 0.5."""
    for points in (bundle.team_points, bundle.operating_points):
        entry = (points or {}).get(level)
        if isinstance(entry, dict):
            threshold = number_or_nan(entry.get("threshold"))
            if 0 <= threshold <= 1:
                rule = str(entry.get("rule") or "given")
                return SavedOperatingPoint(threshold, rule, _origin(entry))
    return SavedOperatingPoint(DEFAULT_THRESHOLD, "")


def _origin(entry: dict[str, Any]) -> str:
    saved = entry.get("saved")
    if not isinstance(saved, str):
        return "shipped"
    return f"set by {entry.get('by') or 'an operator'} on {saved[:10]}"


def number_or_nan(value: Any) -> float:  # noqa: ANN401 - any JSON value
    """A JSON number as a float; NaN for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return math.nan
