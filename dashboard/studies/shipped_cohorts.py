"""The cohorts that the shipped bundles were measured on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from core.models.bundles import BundleInfo
from core.phantom.on_demand import CohortSeed

COHORTS_FOLDER: Final = "cohorts"
HELD_OUT: Final = "held_out"
TRAINING: Final = "training"
_SEED_KEYS: Final = {HELD_OUT: "held_out", TRAINING: "folds"}


def cohort_seeds(bundles: Iterable[BundleInfo]) -> dict[str, CohortSeed]:
    """What the shipped cohorts are made from, as the bundles' figures say, by truth id."""
    found: dict[str, CohortSeed] = {}
    for bundle in bundles:
        cohorts = (bundle.metrics or {}).get("cohort")
        for truth_id, key in _SEED_KEYS.items():
            entry = cohorts.get(key) if isinstance(cohorts, dict) else None
            if isinstance(entry, dict):
                seed, studies = entry.get("seed"), entry.get("studies")
                if isinstance(seed, int) and isinstance(studies, int):
                    found[truth_id] = CohortSeed(seed, studies)
    return found
