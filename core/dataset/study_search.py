"""The studies at a path that a user gives: one study, a folder of studies or a data root."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.dataset.rsna import IMAGES_FOLDER, read_studies
from core.dataset.study_folders import (
    first_header,
    folders_below,
    group_folders,
    joined_folder,
)
from core.errors import DataRootError
from core.types import StudyRecord


@dataclass(frozen=True, slots=True)
class FoundStudies:
    """The studies at a path.

    Attributes:
        records: By study id; at least one. Without truth unless the path is a data root.
        single: Whether the path holds one study, whatever its series and folders.
        notes: Sentences on folders that are not read.
    """

    records: tuple[StudyRecord, ...]
    single: bool
    notes: tuple[str, ...] = ()


def studies_at(path: Path) -> FoundStudies:
    """Find the studies at a path by the StudyInstanceUID of their files.

    Folders are searched to any depth. A study with several folders is read from the folder around
    them; where that holds other studies too, from the one whose CT volume has most slices.

    Raises:
        DataRootError: `path` is not a folder, or nothing below it can be a study.
    """
    if not path.is_dir():
        raise DataRootError(f"{path} is not a folder; give a DICOM folder or a data root.")
    if (path / IMAGES_FOLDER).is_dir():
        return FoundStudies(tuple(read_studies(path)), single=False)
    folders = list(_dicom_folders(path))
    if not folders:
        raise DataRootError(f"{path} holds no files; give a DICOM folder or a data root.")
    found = [joined_folder(study, folders) for study in group_folders(folders)]
    records = tuple(StudyRecord(study.study_id, study.folder) for study in found)
    notes = tuple(study.note for study in found if study.note)
    return FoundStudies(records, single=len(records) == 1, notes=notes)


def _dicom_folders(path: Path) -> Iterator[Path]:
    """Yield the folders that hold DICOM files; all folders with files where there is none.

    A file that is named .dcm counts although it cannot be read, so that its study is missed.
    """
    places = list(folders_below(path))
    dicom = [
        folder
        for folder, files in places
        if any(file.suffix.lower() == ".dcm" for file in files) or first_header(files) is not None
    ]
    yield from dicom or [folder for folder, _ in places]
