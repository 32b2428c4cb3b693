"""The generated cohorts of the shipped bundles, and the locations of their tables.

A cohort's name is also the folder of its studies below the work folder and its key in a bundle's
`metrics.json`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from core.models.bundles import COHORTS_FOLDER
from core.phantom.recipe import CLASSIC, DEFAULT_RECIPE

PREDICTIONS_FOLDER: Final = "predictions"
"""Subfolder of a bundle with its network's predictions of the cohorts."""
LEVELS_FILE: Final = "levels.json"
"""In it, the figures of a localiser as a fracture model."""


@dataclass(frozen=True, slots=True)
class GeneratedCohort:
    """Synthetic studies that can be generated again.

    Attributes:
        name: Name of the cohort and its folder.
        studies: Number of studies.
        seed: Seed of the generator.
        role: Purpose, as the end of a sentence.
        recipe: Name of the generator's distributions.
    """

    name: str
    studies: int
    seed: int
    role: str
    recipe: str = field(default=DEFAULT_RECIPE, kw_only=True)

    def made_from(self) -> dict[str, int | str]:
        """Size and seed, as in `metrics.json`, and the recipe where it is not the classic one."""
        made: dict[str, int | str] = {"studies": self.studies, "seed": self.seed}
        return made if self.recipe == CLASSIC.name else made | {"recipe": self.recipe}


@dataclass(frozen=True, slots=True)
class ShippedCohort(GeneratedCohort):
    """A cohort whose truth and predictions are shipped with the bundles.

    Attributes:
        title: Title for display.
        truth_id: Name of the truth in `checkpoints/cohorts` and in a page's link.
        table: Name of the table among a bundle's predictions.
    """

    title: str
    truth_id: str
    table: str

    def truth_file(self, checkpoints: Path) -> Path:
        """Truth of the studies, one row per study."""
        return checkpoints / COHORTS_FOLDER / f"{self.truth_id}.parquet"

    def slice_truth_file(self, checkpoints: Path) -> Path:
        """Truth of the slices, one row per slice."""
        return checkpoints / COHORTS_FOLDER / f"{self.truth_id}_slices.parquet"

    def predictions_file(self, bundle_folder: Path) -> Path:
        """Predictions of the bundle's network for each slice, as written by `write_slices`."""
        return bundle_folder / PREDICTIONS_FOLDER / f"{self.table}.parquet"


TRAIN: Final = GeneratedCohort("train", 480, 11, "for the weights that all networks start from")
BOXES: Final = GeneratedCohort("boxes", 960, 11, "for the last stage of the localiser")
FRESH: Final = GeneratedCohort("fresh", 240, 41, "for experiments; no shipped network saw it")
FOLDS: Final = ShippedCohort(
    "folds", 240, 31, "split into folds; contexts and thresholds are chosen on it",
    title="Training cohort, out of fold", truth_id="training", table="out_of_fold",
)  # fmt: skip
HELD_OUT: Final = ShippedCohort(
    "held_out", 120, 23, "to measure on, once",
    title="Held-out synthetic cohort", truth_id="held_out", table="held_out",
)  # fmt: skip
SEGMENTED: Final = (
    GeneratedCohort("segmented_varied", 56, 81, "for the segmenter", recipe="varied"),
    GeneratedCohort("segmented_classic", 30, 82, "for the segmenter", recipe="classic"),
    GeneratedCohort("segmented_long", 80, 85, "for the segmenter", recipe="varied_long"),
)
SEGMENTED_MORE: Final = (
    *SEGMENTED,
    GeneratedCohort("segmented_other", 90, 87, "for the segmenter's last stage", recipe="varied"),
)
SEGMENTED_FRESH: Final = (
    GeneratedCohort("fresh_classic", 20, 84, "to measure the segmenter", recipe="classic"),
    GeneratedCohort("fresh_long", 30, 86, "to measure the segmenter", recipe="varied_long"),
    GeneratedCohort("fresh_varied", 30, 83, "to measure the segmenter", recipe="varied"),
)
SHIPPED: Final = (HELD_OUT, FOLDS)
"""In the order of display."""
