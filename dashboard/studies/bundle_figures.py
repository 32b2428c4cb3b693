"""Held-out figure and training data of a bundle, as far as its JSON files give them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from core.experiments.cohorts import LEVELS_FILE, PREDICTIONS_FOLDER
from core.models.bundles import BundleInfo
from core.models.operating_points import number_or_nan


@dataclass(frozen=True, slots=True)
class Headline:
    """Main held-out figure of a bundle with its interval; NaN for a missing bound."""

    name: str
    value: float
    low: float
    high: float
    n_patients: int | None


def headline(bundle: BundleInfo) -> Headline | None:
    """The `headline` of `metrics.json`; None if it has none."""
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


def patient_auc(bundle: BundleInfo) -> Headline | None:
    """Held-out patient AUC of a localiser whose boxes give fracture scores; None without one."""
    file = bundle.folder / PREDICTIONS_FOLDER / LEVELS_FILE
    if not bundle.config.gives_boxes or not file.is_file():
        return None
    try:
        level = json.loads(file.read_text(encoding="utf-8"))["held_out"]["patient"]
        low, high = level["intervals"]["auc"] or (None, None)
        value, count = number_or_nan(level["auc"]), level["n"]
    except (ValueError, KeyError, TypeError):
        # Damaged, or written by another version: the page shows its other figure only.
        return None
    if math.isnan(value) or not isinstance(count, int):
        return None
    return Headline("patient fracture AUC", value, number_or_nan(low), number_or_nan(high), count)


def trained_on_synthetic(bundle: BundleInfo) -> bool | None:
    """Whether a bundle was trained on synthetic studies; None if it does not state this."""
    synthetic = bundle.config.trained_on.get("synthetic")
    return synthetic if isinstance(synthetic, bool) else None
