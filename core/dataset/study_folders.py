"""Which study a folder holds: its StudyInstanceUID decides, never the folder's name."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.dicom.headers import SliceHeader, read_headers
from core.dicom.series import place_series
from core.errors import DicomSeriesError
from core.types import StudyId

MAX_DEPTH: Final = 24
"""Folders within each other that are searched, as in an archive."""
_THREADS: Final = 16
"""Folders looked into at the same time; over a network each look costs a round trip."""
_UID: Final = re.compile(r"[0-9A-Za-z.\-_]{1,64}", re.ASCII)
_SKIPPED: Final = ("__MACOSX",)


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """Where a study is read.

    Attributes:
        study_id: StudyInstanceUID; the folder's name where no file states one.
        folder: Folder of its best series.
        others: Other folders of the same study.
    """

    study_id: str
    folder: Path
    others: tuple[Path, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all its folders, which tables may use instead of the id."""
        return tuple(folder.name for folder in (self.folder, *self.others))

    @property
    def note(self) -> str:
        """A sentence on folders that are not read; "" without any."""
        if not self.others:
            return ""
        return (
            f"Study {self.study_id} is in {1 + len(self.others)} folders; {self.folder.name} has "
            "the CT series with most slices and is read."
        )


def group_folders(folders: Sequence[Path], named: Collection[str] = ()) -> list[StudyFolder]:
    """Group folders by the study that they hold.

    Args:
        folders: Each holds files of one study, itself or below it.
        named: Names that tables use. Folders of one UID whose own names are used are patients who
            share a UID by mistake; they stay apart under their names.

    Returns:
        By study id.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        ids = list(pool.map(study_uid, folders))
    grouped: defaultdict[str, list[Path]] = defaultdict(list)
    for folder, uid in zip(folders, ids, strict=True):
        grouped[uid or folder.name].append(folder)
    found: list[StudyFolder] = []
    for study_id, members in grouped.items():
        own = {folder.name for folder in members} & set(named)
        if len(members) > 1 and len(own) > 1 and study_id not in named:
            found += [StudyFolder(folder.name, folder) for folder in members]
        else:
            found.append(_best(study_id, members))
    return sorted(found, key=lambda study: study.study_id)


def study_uid(folder: Path) -> str:
    """Return the StudyInstanceUID of the first DICOM file in a folder or below; "" for none."""
    header = first_header(file for _, files in folders_below(folder) for file in files)
    return "" if header is None else header.study_uid


def folders_below(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield the folder and those below it that hold files, each with its files, by name.

    Hidden files and folders are left out; links are followed, but into no folder twice.
    """
    yield from _walk(folder, MAX_DEPTH, set())


def _walk(folder: Path, depth: int, seen: set[str]) -> Iterator[tuple[Path, list[Path]]]:
    place = os.path.realpath(folder)
    if place in seen or depth < 0:
        return
    seen.add(place)
    try:
        with os.scandir(folder) as entries:
            shown = sorted((e for e in entries if not e.name.startswith(".")), key=_name)
    except OSError:
        return
    if files := [Path(entry.path) for entry in shown if entry.is_file()]:
        yield folder, files
    for entry in shown:
        if entry.is_dir() and entry.name not in _SKIPPED:
            yield from _walk(Path(entry.path), depth - 1, seen)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def first_header(files: Iterable[Path]) -> SliceHeader | None:
    """Return the header of the first file that is DICOM and states its study; None for none."""
    for file in files:
        headers = read_headers(file)
        uid = headers[0].study_uid if headers else ""
        if _UID.fullmatch(uid) and StudyId.fits(uid):
            return headers[0]
    return None


def joined_folder(study: StudyFolder, folders: Iterable[Path]) -> StudyFolder:
    """Give a study over several folders the folder around them, if it holds no other study.

    Args:
        study: One of `group_folders`.
        folders: All folders that were grouped.
    """
    members = (study.folder, *study.others)
    around = Path(os.path.commonpath(members))
    others = (folder for folder in folders if folder not in members)
    if len(members) == 1 or any(folder.is_relative_to(around) for folder in others):
        return study
    return StudyFolder(study.study_id, around)


def _best(study_id: str, folders: Sequence[Path]) -> StudyFolder:
    """Return the study with the folder whose CT series has most slices, the first of equals."""
    if len(folders) == 1:
        return StudyFolder(study_id, folders[0])
    best = max(sorted(folders, reverse=True), key=_slices_in)
    return StudyFolder(study_id, best, tuple(f for f in sorted(folders) if f != best))


def _slices_in(folder: Path) -> int:
    """Number of slices of the volume that `read_series` would take; 0 where it would refuse."""
    try:
        return len(place_series(folder)[0].headers)
    except DicomSeriesError:
        return 0
