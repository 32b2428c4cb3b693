"""Which studies of a cohort are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.evaluation.evaluation_set import EvaluationSet

Fractures = Literal["all", "fractured", "intact"]


@dataclass(frozen=True, slots=True, eq=False)
class StudyFacts:
    """What the index knows of n studies.

    Attributes:
        study_ids: str (n,), sorted.
        spacing_mm: float64 (n,), median slice distance; NaN where unknown.
        flags: By column of `core.data.quality.FLAGS` a bool (n,).
    """

    study_ids: NDArray[np.str_]
    spacing_mm: NDArray[np.float64]
    flags: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class CohortFilter:
    """Conditions that a study must meet, all of them.

    Attributes:
        fractures: By truth of the patient.
        vertebrae: Names; at least one of them is fractured. Empty means no condition, and an intact
            study meets it only where `keep_intact`.
        keep_intact: Whether intact studies stay beside those with one of `vertebrae`, so that both
            classes remain.
        spacing_mm: Lowest and highest slice distance; a study of unknown spacing does not meet it.
        without_flags: Flag columns that must not be set.
        with_flags: Flag columns of which at least one must be set.
        folds: Folds of cross-validation, by the first model; empty means all.
    """

    fractures: Fractures = "all"
    vertebrae: tuple[str, ...] = ()
    keep_intact: bool = True
    spacing_mm: tuple[float, float] | None = None
    without_flags: tuple[str, ...] = ()
    with_flags: tuple[str, ...] = ()
    folds: tuple[int, ...] = field(default=())


def read_study_facts(studies_parquet: Path) -> StudyFacts:
    """Read `studies.parquet` of an index.

    Raises:
        DataRootError: It cannot be read or lacks a column.
    """
    raise NotImplementedError


def filtered_places(
    evaluated: EvaluationSet, chosen: CohortFilter, facts: StudyFacts | None = None
) -> NDArray[np.intp]:
    """Places (k,) of the studies that meet every condition, rising; for `EvaluationSet.take`.

    Raises:
        PredictionsError: A condition needs facts that are not given, or names an unknown vertebra
            or flag.
    """
    raise NotImplementedError
