"""Typed errors. Each message is one sentence: what is wrong, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class CSpineError(Exception):
    """Base of every error that bad input or a bad environment can cause."""


class DicomSeriesError(CSpineError):
    """A DICOM file or folder cannot be read as one CT series.

    Attributes:
        path: The file or folder at fault.
        mend: What the reader can do about it.
    """

    def __init__(self, path: Path, problem: str, mend: str) -> None:
        self.path = path
        self.mend = mend
        self._problem = problem
        super().__init__(f"{path.name}: {problem}; {mend}.")

    def __reduce__(self) -> tuple[type[DicomSeriesError], tuple[Path, str, str]]:
        """Pickle by the constructor's arguments, so that the error can leave its process."""
        return type(self), (self.path, self._problem, self.mend)


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
    """A training run cannot start or go on."""


class TaskError(CSpineError):
    """Work in the background cannot be started, stopped or removed."""


class DeviceError(CSpineError):
    """The requested compute device is not there."""


class StorageError(CSpineError):
    """A file could not be written: no space, no permission or a read-only place."""


class WorkerError(CSpineError):
    """A process or a cluster's worker died over an item."""


class SceneError(CSpineError):
    """A 3D scene cannot be built, drawn or written."""
