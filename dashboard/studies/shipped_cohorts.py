"""The cohorts that the shipped bundles were measured on."""

from __future__ import annotations

from collections.abc import Iterable

from core.experiments.cohorts import SHIPPED
from core.models.bundles import BundleInfo
from core.phantom.on_demand import CohortSeed


def cohort_seeds(bundles: Iterable[BundleInfo]) -> dict[str, CohortSeed]:
    """Seeds of the shipped cohorts by truth id, from the metrics of the bundles."""
    found: dict[str, CohortSeed] = {}
    for bundle in bundles:
        cohorts = (bundle.metrics or {}).get("cohort")
        for cohort in SHIPPED:
            entry = cohorts.get(cohort.name) if isinstance(cohorts, dict) else None
            if isinstance(entry, dict):
                seed, studies = entry.get("seed"), entry.get("studies")
                if isinstance(seed, int) and isinstance(studies, int):
                    found[cohort.truth_id] = CohortSeed(seed, studies)
    return found
