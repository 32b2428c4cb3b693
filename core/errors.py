"""Typed errors. Each message is one sentence: what is wrong, where, and how to fix it."""

from __future__ import annotations

from pathlib import Path


class CSpineError(Exception):
    """Base of every error that bad input or a bad environment can cause."""


class DicomSeriesError(CSpineError):
    """A DICOM file or folder cannot be read as one CT series.

    Attributes:
        path: The file or folder at fault.
        remedy: What the user can do about it.
    """

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        self.path = path
        self.remedy = remedy
        self._problem = problem
        super().__init__(f"{path.name}: {problem}; {remedy}.")

    def __reduce__(self) -> tuple[type[DicomSeriesError], tuple[Path, str, str]]:
        """Pickle by the constructor's arguments, so that the error can leave its process."""
        return type(self), (self.path, self._problem, self.remedy)


class ArchiveError(CSpineError):
    """An uploaded archive is unsafe, too large or holds no DICOM."""


class DataRootError(CSpineError):
    """A data root lacks a table or folder of RSNA's layout, or a row of it is wrong."""


class ConfigError(CSpineError):
    """A settings or run-config value is unknown or out of range."""


class BundleError(CSpineError):
    """A checkpoint bundle is missing, incomplete or does not fit its config."""


class PredictionsError(CSpineError):
    """A predictions folder or table cannot be evaluated."""


class TrainingError(CSpineError):
    """A training run cannot start or continue."""


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
