"""Files of one study each, one JSON object per line, appended to and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from core.errors import AnnotationError
from core.system.atomic_files import write_bytes
from core.system.work_lock import WorkLock
from core.types import StudyId

_SUFFIX: Final = ".jsonl"
_LOCKS: Final = ".locks"
_WAIT_SECONDS: Final = 10.0


class StudyLogs:
    """Line files below one folder: `<folder>/<StudyInstanceUID>.jsonl`.

    Args:
        folder: Made when the first line is appended.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def study_ids(self) -> tuple[str, ...]:
        """Ids of the studies with a file, sorted."""
        found = (path.name.removesuffix(_SUFFIX) for path in self.folder.glob(f"*{_SUFFIX}"))
        return tuple(sorted(name for name in found if StudyId.fits(name)))

    def path(self, study_id: str) -> Path:
        """File of a study.

        Raises:
            DataRootError: The id is not the name of a study.
        """
        return self.folder / f"{StudyId(study_id)}{_SUFFIX}"

    def content(self, study_id: str) -> bytes:
        """Content of a study's file, empty where it has none.

        Raises:
            AnnotationError: The file cannot be opened.
            DataRootError: The id is not the name of a study.
        """
        path = self.path(study_id)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise AnnotationError(
                f"{path} cannot be opened ({error.strerror}); check its permissions."
            ) from error

    @contextmanager
    def held(self, study_id: str) -> Iterator[None]:
        """Keep other processes from appending to a study's file.

        Raises:
            DataRootError: The id is not the name of a study.
            HeldError: Another process saves and does not end.
        """
        lock = WorkLock(self.folder / _LOCKS / StudyId(study_id))
        with lock.held(wait_s=_WAIT_SECONDS):
            yield

    def append(self, study_id: str, content: bytes, *lines: str) -> None:
        """Append lines to a study's file, which is held.

        Args:
            study_id: The study.
            content: The file's content since it is held.
            lines: JSON without line breaks.

        Raises:
            StorageError: The file cannot be written.
        """
        if content and not content.endswith(b"\n"):
            content += b"\n"
        added = b"".join(line.encode() + b"\n" for line in lines)
        write_bytes(self.path(study_id), content + added)
