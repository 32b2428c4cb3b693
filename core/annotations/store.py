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
from core.annotations.study_log import StudyLogs
from core.errors import AnnotationConflictError

FOLDER_NAME: Final = "annotations"
"""Folder below `CSPINE_VAR`."""


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
        self._logs = StudyLogs(folder)

    def study_ids(self) -> tuple[str, ...]:
        """Ids of the annotated studies, sorted."""
        return self._logs.study_ids()

    def read(self, study_id: str) -> AnnotationLog:
        """Read the history of a study; empty where it has none.

        Raises:
            AnnotationError: The file cannot be opened.
            DataRootError: The id is not the name of a study.
        """
        return _parsed(self._logs.path(study_id), study_id, self._logs.content(study_id))

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
        with self._logs.held(study_id):
            content = self._logs.content(study_id)
            latest = _parsed(self._logs.path(study_id), study_id, content).current
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
            self._logs.append(study_id, content, version.model_dump_json())
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
