"""DICOM files of a study: from a data root, or made from the seed of a synthetic cohort."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final

import cv2

from core.constants import DISPLAY_WINDOWS
from core.dataset.rsna import IMAGES_FOLDER
from core.errors import CSpineError, DataRootError
from core.evaluation.tables.truth import truth_from_parquet
from core.experiments.cohorts import SHIPPED
from core.models.bundles import BundleInfo
from core.phantom.on_demand import CohortSeed, find_cohort_seed, materialise_study
from core.phantom.recipe import CLASSIC
from core.system import atomic_files
from core.types import HuWindow, StudyId, StudyRecord
from dashboard.session.access import check_allowed
from dashboard.session.settings import settings
from dashboard.studies.cohort import all_bundles
from dashboard.studies.open_study import open_study
from dashboard.studies.slice_image import display_image

MADE_FOLDER: Final = "synthetic"
PICTURE_SIDE: Final = 224
"""Pixels of the longer side of a small picture."""


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


def made_root() -> Path:
    """Folder of the studies made on demand, in RSNA's layout."""
    return settings().cspine_var / MADE_FOLDER


def study_folder(study_id: StudyId, root: Path | None = None) -> Path:
    """Folder of a study's DICOM files; a shipped synthetic study is made if needed.

    Args:
        study_id: StudyInstanceUID.
        root: Data root to look in first.

    Raises:
        DataRootError: The study is neither on disk nor of a shipped synthetic cohort.
        StorageError: The study cannot be written.
    """
    for place in (root, settings().data_root):
        if place is not None and (folder := place / IMAGES_FOLDER / study_id).is_dir():
            return folder
    return materialise_study(study_id, _seeds(), made_root())


def can_show(study_id: StudyId, root: Path | None = None) -> bool:
    """Whether `study_folder` can find or make the study."""
    places = [place for place in (root, settings().data_root) if place is not None]
    on_disk = any((place / IMAGES_FOLDER / study_id).is_dir() for place in places)
    return on_disk or find_cohort_seed(study_id, _seeds()) is not None


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
    return StudyRecord(study_id, study_folder(StudyId(study_id)), _truth_of(study_id))


def picture(study_id: StudyId, slice_index: int | None, root: Path | None = None) -> Path:
    """A small PNG of one slice in the bone window, made if it does not exist yet.

    Args:
        study_id: StudyInstanceUID.
        slice_index: 0 the most cranial; None for the middle one.
        root: Data root to look in first.

    Raises:
        CSpineError: The user may not use this server, or the study cannot be found, made or read.
    """
    check_allowed("look", DataRootError, "to see pictures")
    file = _picture_file(study_id, slice_index)
    if file.is_file():
        return file
    volume = open_study(study_folder(study_id, root)).volume
    index = volume.n_slices // 2 if slice_index is None else slice_index
    if not 0 <= index < volume.n_slices:
        raise DataRootError(
            f"Study {study_id} has {volume.n_slices} slices but slice {index} was asked for; "
            "predict the study again."
        )
    bone = HuWindow(*DISPLAY_WINDOWS["bone"])
    small = display_image(volume, index, bone, longer_side=PICTURE_SIDE)
    done, encoded = cv2.imencode(".png", small)
    if not done:
        raise DataRootError(f"The picture of study {study_id} cannot be encoded; try another.")
    atomic_files.write_bytes(file, encoded.tobytes())
    return file


def is_ready(study_id: StudyId, slice_index: int | None) -> bool:
    """Whether the picture of a slice exists already."""
    return _picture_file(study_id, slice_index).is_file()


def try_picture(
    study_id: StudyId, slice_index: int | None, root: Path | None, say: Callable[[str], None]
) -> Path | None:
    """The picture, or None after passing the reason to `say`."""
    try:
        return picture(study_id, slice_index, root)
    except CSpineError as error:
        say(str(error))
        return None


def _truth_of(study_id: str) -> tuple[bool, ...] | None:
    """y_j for C1..C7 from the truth shipped with the bundles; None if it is not there."""
    for cohort in SHIPPED:
        path = cohort.truth_file(settings().checkpoints)
        with contextlib.suppress(CSpineError):
            found = truth_from_parquet(path, {study_id})
            if found:
                return tuple(bool(value) for value in found[0].fractured)
    return None


def _picture_file(study_id: StudyId, slice_index: int | None) -> Path:
    place = "middle" if slice_index is None else str(slice_index)
    return settings().rsna_cache / "pictures" / f"{study_id}-{place}-{PICTURE_SIDE}.png"


def _seeds() -> list[CohortSeed]:
    return list(cohort_seeds(all_bundles()).values())
