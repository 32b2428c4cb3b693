"""The operating points in a bundle, with a default for missing ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from core.constants import VERTEBRAE
from core.models.bundles import BundleInfo

DEFAULT_THRESHOLD: Final = 0.5
BY_HAND: Final = "set by hand"
"""Rule of a threshold that a person chose on a slider."""
_SHIPPED: Final = "shipped"
Level = Literal["slice", "patient", "vertebra", "presence", "box"]


@dataclass(frozen=True, slots=True)
class SavedOperatingPoint:
    """A threshold and where it comes from.

    Attributes:
        threshold: A score >= threshold is a call.
        rule: The rule that chose it; "" for the default threshold.
        origin: "shipped", or who set it and when; "" for the default threshold.
        data: What it was chosen on, in words; "" where that is unknown.
        per_vertebra: Thresholds of C1..C7; None where one is shared.
    """

    threshold: float
    rule: str
    origin: str = ""
    data: str = ""
    per_vertebra: tuple[float, ...] | None = None

    @property
    def described(self) -> str:
        """The threshold with its rule and origin, in words."""
        if not self.rule:
            return f"{self.threshold:g}, as the bundle has no operating point"
        return f"operating point {self.threshold:.3f}, {self.rule}, {self.origin}"

    @property
    def named(self) -> str:
        """Rule and origin in a few words."""
        if not self.rule:
            return "no operating point"
        return self.origin if self.rule == BY_HAND else f"{self.rule}, {self.origin}"

    @property
    def set_here(self) -> bool:
        """Whether this installation has set it over the shipped one."""
        return self.origin not in ("", _SHIPPED)

    @property
    def history(self) -> str:
        """One sentence on the threshold: by whom, when, by which rule and on which data."""
        if not self.rule:
            return f"{self.threshold:g}, as the network has no operating point."
        start = f"Set {self.origin.removeprefix('set ')}" if self.set_here else "Shipped"
        how = "by hand" if self.rule == BY_HAND else f"by the rule “{self.rule}”"
        data = f" on {self.data}" if self.data else ""
        return f"{start}: {self.threshold:.3f}, chosen {how}{data}."


def shipped_point(bundle: BundleInfo, level: Level) -> SavedOperatingPoint:
    """The threshold that a bundle comes with, whatever this installation has set; 0.5 without."""
    return operating_point(replace(bundle, team_points=None), level)


def operating_point(bundle: BundleInfo, level: Level) -> SavedOperatingPoint:
    """The threshold that this installation has set for a level, else the shipped one, else 0.5."""
    for points in (bundle.team_points, bundle.operating_points):
        entry = (points or {}).get(level)
        if isinstance(entry, dict):
            threshold = number_or_nan(entry.get("threshold"))
            if 0 <= threshold <= 1:
                rule = str(entry.get("rule") or "given")
                data = (
                    entry.get("data") or entry.get("chosen_on") or (points or {}).get("chosen_on")
                )
                return SavedOperatingPoint(
                    threshold, rule, _origin(entry), str(data or ""), _per_vertebra(entry)
                )
    return SavedOperatingPoint(DEFAULT_THRESHOLD, "")


def has_operating_point(bundle: BundleInfo, level: Level) -> bool:
    """Whether a threshold has been set for a level, here or where the bundle was made."""
    return operating_point(bundle, level).rule != ""


def _per_vertebra(entry: dict[str, Any]) -> tuple[float, ...] | None:
    each = entry.get("per_vertebra")
    if not isinstance(each, dict):
        return None
    values = tuple(number_or_nan(each.get(vertebra)) for vertebra in VERTEBRAE)
    return values if all(0 <= value <= 1 for value in values) else None


def _origin(entry: dict[str, Any]) -> str:
    saved = entry.get("saved")
    if not isinstance(saved, str):
        return _SHIPPED
    return f"set by {entry.get('by') or 'an operator'} on {saved[:10]}"


def number_or_nan(value: Any) -> float:  # noqa: ANN401 - any JSON value
    """A JSON number as a float; NaN for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return math.nan
