"""DICOM files of a study: from a data root, or made from the seed of a synthetic cohort."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from core.dataset.rsna import IMAGES_FOLDER
from core.errors import CSpineError, DataRootError
from core.evaluation.tables.truth import truth_from_parquet
from core.experiments.cohorts import SHIPPED
from core.models.bundles import BundleInfo
from core.phantom.on_demand import (
    CohortSeed,
    find_cohort_seed,
    made_record,
    materialise_study,
)
from core.phantom.recipe import CLASSIC
from core.types import StudyId, StudyRecord
from dashboard.session.access import check_allowed
from dashboard.session.settings import settings
from dashboard.studies.cohort import all_bundles, find_cohort
from dashboard.studies.shipped import made_root


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
                    recipe = str(entry.get("recipe", CLASSIC.name))
                    found[cohort.truth_id] = CohortSeed(seed, studies, recipe=recipe)
    return found


def study_record(study_id: StudyId, root: Path | None = None) -> StudyRecord:
    """A study with its truth; a shipped synthetic study is made if needed.

    Args:
        study_id: StudyInstanceUID.
        root: Data root to look in first.

    Raises:
        DataRootError: The study is neither on disk nor of a shipped synthetic cohort.
        StorageError: The study cannot be written.
    """
    for place in _roots(root):
        found = find_cohort(place)
        known = () if found is None else found.studies
        if record := next((one for one in known if one.study_id == study_id), None):
            return record
    return _made(study_id)


def shown_here(study_ids: Iterable[StudyId], root: Path | None = None) -> set[StudyId]:
    """Those of the studies that `study_record` can find or make.

    Args:
        study_ids: StudyInstanceUIDs.
        root: As for `study_record`.
    """
    folders = [place / IMAGES_FOLDER for place in _roots(root)]
    missing = dict.fromkeys(study_ids)
    found = {one for one in missing if any((folder / one).is_dir() for folder in folders)}
    missing = [one for one in missing if one not in found]
    seeds = _seeds() if missing else []
    return found | {one for one in missing if find_cohort_seed(one, seeds) is not None}


def linked_study(study_id: str | None, known: Collection[str]) -> StudyRecord | None:
    """A shipped synthetic study that a link names and the data set does not contain.

    Args:
        study_id: Study id in the link, if any.
        known: Study ids of the data set.

    Returns:
        The study with its truth, made if needed; None if the link names no such study.

    Raises:
        DataRootError: The user may not use this server.
        StorageError: The study cannot be written.
    """
    check_allowed("look", DataRootError, "to open studies")
    if study_id is None or study_id in known or find_cohort_seed(study_id, _seeds()) is None:
        return None
    return _made(study_id)


def _roots(root: Path | None) -> list[Path]:
    """Data roots to look in that hold studies."""
    places = dict.fromkeys(place for place in (root, settings().data_root) if place is not None)
    return [place for place in places if (place / IMAGES_FOLDER).is_dir()]


def _made(study_id: str) -> StudyRecord:
    """A study of a shipped cohort, made if needed, with its truth."""
    record = made_record(materialise_study(study_id, _seeds(), made_root()))
    if record.fractured is not None:
        return record
    return replace(record, fractured=_truth_of(study_id))


def _truth_of(study_id: str) -> tuple[bool, ...] | None:
    """y_j for C1..C7 from the truth shipped with the bundles; None if it is not there."""
    for cohort in SHIPPED:
        path = cohort.truth_file(settings().checkpoints)
        with contextlib.suppress(CSpineError):
            found = truth_from_parquet(path, {study_id})
            if found:
                return tuple(bool(value) for value in found[0].fractured)
    return None


def _seeds() -> list[CohortSeed]:
    return list(cohort_seeds(all_bundles()).values())
