"""Filter of the studies of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.quality import FLAG_COLUMNS
from core.errors import DataRootError, PredictionsError
from core.evaluation.tables.evaluation_set import EvaluationSet
from core.system.parquet import read_parquet

_SPACING: Final = "z_spacing_mm"
Fractures = Literal["all", "fractured", "intact"]


@dataclass(frozen=True, slots=True, eq=False)
class StudyFacts:
    """Facts of n studies from the index.

    Attributes:
        study_ids: str (n,), sorted.
        spacing_mm: float64 (n,), median slice distance; NaN where unknown.
        flags: By column of `core.dataset.quality.FLAGS`, bool (n,).
    """

    study_ids: NDArray[np.str_]
    spacing_mm: NDArray[np.float64]
    flags: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class CohortFilter:
    """Conditions that a study must all meet.

    Attributes:
        fractures: Condition on the truth of the patient.
        vertebrae: Names; at least one of them is fractured. Empty means no condition, and an intact
            study meets it only where `keep_intact`.
        keep_intact: Whether intact studies are kept with those with one of `vertebrae`, so that
            both classes remain.
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
    columns = ["study_id", _SPACING, *FLAG_COLUMNS]
    table = read_parquet(studies_parquet, columns, DataRootError, "index the data set again")
    table = table.sort_values("study_id", kind="stable")
    return StudyFacts(
        study_ids=np.array(table["study_id"].astype(str).to_list(), np.str_),
        spacing_mm=table[_SPACING].to_numpy(np.float64, na_value=np.nan),
        flags={name: table[name].fillna(value=False).to_numpy(np.bool_) for name in FLAG_COLUMNS},
    )


def filtered_places(
    evaluated: EvaluationSet, chosen: CohortFilter, facts: StudyFacts | None = None
) -> NDArray[np.intp]:
    """Rising indices (k,) of the studies that meet every condition, for `EvaluationSet.take`.

    Raises:
        PredictionsError: A condition needs facts that are not given or names an unknown vertebra
            or flag.
    """
    fractured = evaluated.truth.fractured
    meets = np.ones(len(fractured), np.bool_)
    if chosen.fractures != "all":
        meets &= fractured.any(axis=1) == (chosen.fractures == "fractured")
    if chosen.vertebrae:
        columns = [_known(name, VERTEBRAE, "vertebra") for name in chosen.vertebrae]
        own = fractured[:, columns].any(axis=1)
        meets &= own | (~fractured.any(axis=1) & chosen.keep_intact)
    if chosen.folds:
        meets &= np.isin(evaluated.models[0].fold, chosen.folds)
    if chosen.spacing_mm is not None or chosen.without_flags or chosen.with_flags:
        if facts is None:
            raise PredictionsError(
                "Spacing and quality flags come from the data set's index; index it first."
            )
        meets &= _meets_facts(evaluated.truth.study_ids, chosen, facts)
    return np.flatnonzero(meets)


def _meets_facts(
    study_ids: NDArray[np.str_], chosen: CohortFilter, facts: StudyFacts
) -> NDArray[np.bool_]:
    """Whether each study (n,) is in the index and meets the conditions on its facts."""
    places = np.searchsorted(facts.study_ids, study_ids)
    places = np.minimum(places, max(len(facts.study_ids) - 1, 0))
    if not len(facts.study_ids):
        return np.zeros(len(study_ids), np.bool_)
    meets = facts.study_ids[places] == study_ids
    if chosen.spacing_mm is not None:
        lowest, highest = chosen.spacing_mm
        spacing = facts.spacing_mm[places]
        meets &= (spacing >= lowest) & (spacing <= highest)
    flags = {
        name: facts.flags[name][places]
        for name in (*chosen.without_flags, *chosen.with_flags)
        if _known(name, tuple(facts.flags), "quality flag") >= 0
    }
    for name in chosen.without_flags:
        meets &= ~flags[name]
    if chosen.with_flags:
        meets &= np.any([flags[name] for name in chosen.with_flags], axis=0)
    return meets


def _known(name: str, names: tuple[str, ...], kind: str) -> int:
    """Index of `name` in `names`."""
    if name not in names:
        raise PredictionsError(f"There is no {kind} {name!r}; choose one of {', '.join(names)}.")
    return names.index(name)
