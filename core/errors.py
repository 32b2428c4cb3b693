"""Typed errors. Each message is one sentence: what is wrong, where, and how to fix it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class CSpineError(Exception):
    """Base of every error that bad input or a bad environment can cause."""


class DicomSeriesError(CSpineError):
    """A DICOM file or folder cannot be read as one CT series.

    Attributes:
        path: The file or folder at fault.
        problem: What is wrong with it.
        remedy: What the user can do about it.
        study: Folder of the study, which the message names; None where it is not known.
    """

    def __init__(self, path: Path, problem: str, remedy: str, study: Path | None = None) -> None:
        self.path = path
        self.problem = problem
        self.remedy = remedy
        self.study = study
        super().__init__(f"{self._name()}: {problem}; {remedy}.")

    def within(self, study: Path) -> DicomSeriesError:
        """Return this error with the folder of the study in its message: all name files alike."""
        return type(self)(self.path, self.problem, self.remedy, study)

    def _name(self) -> str:
        if self.study is None or not self.path.is_relative_to(self.study):
            return self.path.name
        return "/".join((self.study.name, *self.path.relative_to(self.study).parts))

    def __reduce__(self) -> tuple[type[DicomSeriesError], tuple[Path, str, str, Path | None]]:
        """Pickle by the constructor's arguments, so that the error can leave its process."""
        return type(self), (self.path, self.problem, self.remedy, self.study)


class ArchiveError(CSpineError):
    """An uploaded archive is unsafe, too large or holds no DICOM."""


class DataRootError(CSpineError):
    """A data root lacks a table or folder of RSNA's layout, or a row of it is wrong."""


class DicomWebError(CSpineError):
    """A DICOMweb server is unknown, cannot be reached, refuses or answers wrongly."""


class AnnotationError(CSpineError):
    """An annotation cannot be read or saved."""


class AnnotationConflictError(AnnotationError):
    """Somebody saved a newer version of the same annotation."""


class ReaderStudyError(CSpineError):
    """A reader study cannot be made, joined, answered or analysed."""


class ConfigError(CSpineError):
    """A settings or run-config value is unknown or out of range."""


class BundleError(CSpineError):
    """A checkpoint bundle is missing, incomplete or does not fit its config."""


class PredictionsError(CSpineError):
    """A predictions folder or table cannot be evaluated."""


class TrainingError(CSpineError):
    """A training run cannot start or continue."""


class HeldError(CSpineError):
    """Another process works on the same thing.

    Attributes:
        pid: That process; 0 if it is not known yet.
        host: Its machine.
    """

    def __init__(self, lock: Path, pid: int, host: str) -> None:
        self.pid = pid
        self.host = host
        self._lock = lock
        super().__init__(
            f"{lock.parent} is in use by process {pid} on {host or 'an unknown machine'}; wait for "
            "it or stop it first."
        )

    def __reduce__(self) -> tuple[type[HeldError], tuple[Path, int, str]]:
        """Pickle by the constructor's arguments, so that the error can leave its process."""
        return type(self), (self._lock, self.pid, self.host)


class TaskError(CSpineError):
    """Background work cannot be started, stopped or removed."""


class DeviceError(CSpineError):
    """The requested compute device is not available."""


class StorageError(CSpineError):
    """A file could not be written: no space, no permission or a read-only place."""


class WorkerError(CSpineError):
    """A process or a cluster worker died while processing an item."""


class SceneError(CSpineError):
    """A 3D scene cannot be built, drawn or written."""


def first_fault(error: ValidationError) -> str:
    """Describe the first fault that pydantic found, by its key in the file: "size: ..."."""
    first = error.errors()[0]
    # `preparation` is no key of a file: its fields are.
    parts = [str(part) for part in first["loc"] if part != "preparation"]
    return f"{'.'.join(parts) or 'the config'}: {first['msg']}"
