"""Everything that is known of the studies of a truth table, as attributes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.dataset.rsna import is_synthetic
from core.evaluation.tables.attribute_columns import column_attributes, read_columns
from core.evaluation.tables.attribute_sources import (
    draw_planted,
    index_attributes,
    label_attributes,
    planted_attributes,
    read_planted,
    without_doubles,
)
from core.evaluation.tables.attributes import Attribute
from core.evaluation.tables.truth_table import TruthTable
from core.phantom.on_demand import CohortSeed


@dataclass(frozen=True, slots=True)
class FactPlaces:
    """Where facts of studies are found.

    Attributes:
        studies_parquet: Table of an index; None without one.
        root: Data root, whose planted truth is read if it is synthetic; None without one.
        cohort: Seed of a synthetic cohort that is not on disk; None for others.
    """

    studies_parquet: Path | None = None
    root: Path | None = None
    cohort: CohortSeed | None = None


def known_attributes(truth: TruthTable, places: FactPlaces) -> list[Attribute]:
    """Attributes of the studies of a truth table; headers come before planted facts.

    Raises:
        DataRootError: The index cannot be read.
    """
    ids = truth.study_ids.tolist()
    found = label_attributes(truth.fractured)
    if places.studies_parquet is not None and places.studies_parquet.is_file():
        found += index_attributes(places.studies_parquet, truth.study_ids)
    if places.cohort is not None:
        found += planted_attributes(draw_planted(places.cohort, ids, truth.fractured))
    elif places.root is not None and is_synthetic(places.root):
        found += planted_attributes(read_planted(places.root, ids))
    return without_doubles(found)


def added_attributes(table: Path, truth: TruthTable) -> tuple[list[Attribute], list[str]]:
    """Attributes from a CSV with one row per study, and notes on what is left out.

    Raises:
        DataRootError: It cannot be read, or has no row of these studies.
    """
    found, notes = column_attributes(read_columns(table), truth.study_ids)
    return without_doubles(found), notes
