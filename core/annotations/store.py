"""The files of annotations: one per study, one line per version, appended to and never changed.

They lie beside the data set, in a folder of their own: `<folder>/<StudyInstanceUID>.jsonl`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from core.annotations.records import AnnotationDraft, StudyAnnotation
from core.errors import AnnotationConflictError, AnnotationError
from core.system.atomic_files import write_bytes
from core.system.work_lock import WorkLock
from core.types import StudyId

FOLDER_NAME: Final = "annotations"
"""Folder below `CSPINE_VAR`."""
_SUFFIX: Final = ".jsonl"
_LOCKS: Final = ".locks"
_WAIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class AnnotationLog:
    """The history of one study's annotation.

    Attributes:
        versions: Those that hold, the latest last.
        refused: Those that met a newer version when they were saved.
        problems: One sentence for each line that cannot be read.
    """

    versions: tuple[StudyAnnotation, ...] = ()
    refused: tuple[StudyAnnotation, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def current(self) -> StudyAnnotation | None:
        """The version that holds; None before the first."""
        return self.versions[-1] if self.versions else None


class AnnotationStore:
    """Annotations below one folder.

    Args:
        folder: Made when the first annotation is saved; never inside the data set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def study_ids(self) -> tuple[str, ...]:
        """Ids of the annotated studies, sorted."""
        found = (path.name.removesuffix(_SUFFIX) for path in self.folder.glob(f"*{_SUFFIX}"))
        return tuple(sorted(name for name in found if StudyId.fits(name)))

    def read(self, study_id: str) -> AnnotationLog:
        """Read the history of a study; empty where it has none.

        Raises:
            AnnotationError: The file cannot be opened.
            DataRootError: The id is not the name of a study.
        """
        path = self._file(study_id)
        return _parsed(path, study_id, _content(path))

    def current(self, study_id: str) -> StudyAnnotation | None:
        """The annotation that holds; None where there is none.

        Raises:
            AnnotationError, DataRootError: As for `read`.
        """
        return self.read(study_id).current

    def save(self, study_id: str, draft: AnnotationDraft) -> StudyAnnotation:
        """Append a version; edges are rounded to multiples of 1/64 pixel.

        Returns:
            The version, which holds from now on.

        Raises:
            AnnotationConflictError: A newer version than `draft.base` holds. The draft is kept in
                the history as refused.
            AnnotationError: The file cannot be opened.
            HeldError: Another process saves and does not end.
            StorageError: The file cannot be written.
        """
        path = self._file(study_id)
        with WorkLock(self.folder / _LOCKS / StudyId(study_id)).held(wait_s=_WAIT_SECONDS):
            content = _content(path)
            latest = _parsed(path, study_id, content).current
            held = 0 if latest is None else latest.revision
            version = StudyAnnotation(
                **dict(draft),
                study_id=study_id,
                revision=draft.base + 1,
                at=datetime.now(UTC).replace(microsecond=0),
                refused=draft.base != held,
            )
            version = version.model_copy(
                update={"boxes": tuple(box.snapped() for box in version.boxes)}
            )
            if content and not content.endswith(b"\n"):
                content += b"\n"
            write_bytes(path, content + version.model_dump_json().encode() + b"\n")
        if latest is not None and version.refused:
            raise AnnotationConflictError(
                f"Revision {held} of this study's annotation, by {latest.author} at "
                f"{latest.at:%Y-%m-%d %H:%M} UTC, is newer than the one you began with; yours was "
                "kept in the history but does not hold: open the study again and repeat the change."
            )
        if version.refused:
            raise AnnotationConflictError(
                "The annotation that you began with is not there any more; yours was kept in the "
                "history but does not hold: open the study again and repeat the change."
            )
        return version

    def _file(self, study_id: str) -> Path:
        return self.folder / f"{StudyId(study_id)}{_SUFFIX}"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise AnnotationError(
            f"{path} cannot be opened ({error.strerror}); check its permissions."
        ) from error


def _parsed(path: Path, study_id: str, content: bytes) -> AnnotationLog:
    versions: list[StudyAnnotation] = []
    refused: list[StudyAnnotation] = []
    problems: list[str] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found = StudyAnnotation.model_validate_json(line)
        except ValidationError:
            problem = "it is no annotation"
        else:
            if found.study_id == study_id:
                (refused if found.refused else versions).append(found)
                continue
            problem = "it is of another study"
        problems.append(
            f"{path}, line {number}: {problem}; restore or delete the line (the others are used)."
        )
    return AnnotationLog(tuple(versions), tuple(refused), tuple(problems))
