"""What a threshold achieves on studies that a network was not trained on, as its bundle states."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.models.bundles import BundleInfo
from core.models.names import short_name
from core.models.operating_points import number_or_nan

_MEASURES_FILE: Final = "predictions/levels.json"
"""Measures of a localiser whose boxes give fracture scores."""
_SAME: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Measured:
    """Sensitivity and specificity of a threshold on held-out items.

    Attributes:
        sensitivity: Share of the fractured that are called.
        specificity: Share of the others that are not called.
        count: Number of patients or vertebrae.
        synthetic: Whether they are generated.
        partner: Name of the network whose levels were used in the measurement; "" where unknown.
    """

    sensitivity: float
    specificity: float
    count: int
    synthetic: bool
    partner: str = ""

    def sentence(self, what: str) -> str:
        """Both figures in words.

        Args:
            what: What was counted, in the plural: "patients".
        """
        made = "synthetic " if self.synthetic else ""
        levels = f", with levels by {short_name(self.partner)}" if self.partner else ""
        return (
            f"At this threshold {self.sensitivity:.0%} of fractured {what} are called "
            f"(sensitivity) and {self.specificity:.0%} of the others are not (specificity), "
            f"measured on {self.count:,} {made}{what} that the network was not trained on{levels}."
        )


def measured_at(
    bundle: BundleInfo, level: Literal["patient", "vertebra"], threshold: float
) -> Measured | None:
    """Held-out sensitivity and specificity at a threshold; None where it was not measured.

    Args:
        bundle: The network.
        level: What is called.
        threshold: The threshold; only that of the measurement counts.
    """
    content = _measures(bundle)
    entry = (content.get("held_out") or {}).get(level)
    if not isinstance(entry, dict):
        return None
    count, values = entry.get("n"), (entry.get("recall"), entry.get("specificity"))
    sensitivity, specificity = map(number_or_nan, values)
    same = abs(number_or_nan(entry.get("threshold")) - threshold) < _SAME
    if not same or not isinstance(count, int) or not 0 <= sensitivity + specificity <= 2:
        return None
    synthetic = bundle.config.trained_on.get("synthetic") is True
    return Measured(sensitivity, specificity, count, synthetic, str(content.get("partner") or ""))


def _measures(bundle: BundleInfo) -> dict[str, Any]:
    content: Any = bundle.metrics
    if bundle.config.gives_boxes:
        file = bundle.folder / _MEASURES_FILE
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # A localiser that does not judge patients, or a damaged file: nothing is stated.
            return {}
    whole = isinstance(content, dict) and isinstance(content.get("held_out"), dict)
    return content if whole else {}
