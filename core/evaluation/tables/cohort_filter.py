"""Filter of the studies of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.quality import FLAG_COLUMNS
from core.errors import DataRootError, PredictionsError
from core.evaluation.tables.evaluation_set import EvaluationSet
from core.system.parquet import read_parquet

_SPACING: Final = "z_spacing_mm"


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
        vertebra: Name of one that is fractured; intact studies are kept too, so that both classes
            remain. "" means no condition.
        spacing_mm: Lowest and highest slice distance; a study of unknown spacing does not meet it.
        without_flags: Flag columns that must not be set.
        fold: Fold of cross-validation, by the first model; None means all.
    """

    vertebra: str = ""
    spacing_mm: tuple[float, float] | None = None
    without_flags: tuple[str, ...] = ()
    fold: int | None = None


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
    if chosen.vertebra:
        _check_known(chosen.vertebra, VERTEBRAE, "vertebra")
        meets &= fractured[:, VERTEBRAE.index(chosen.vertebra)] | ~fractured.any(axis=1)
    if chosen.fold is not None:
        meets &= evaluated.models[0].fold == chosen.fold
    if chosen.spacing_mm is not None or chosen.without_flags:
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
    for name in chosen.without_flags:
        _check_known(name, tuple(facts.flags), "quality flag")
        meets &= ~facts.flags[name][places]
    return meets


def _check_known(name: str, names: tuple[str, ...], kind: str) -> None:
    if name not in names:
        raise PredictionsError(f"There is no {kind} {name!r}; choose one of {', '.join(names)}.")
