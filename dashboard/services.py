"""Cached calls into core: the data set, volumes, bundles and predictions."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from core.config import Settings
from core.data.fingerprint import fingerprint_folder
from core.data.rsna import is_synthetic, read_studies
from core.data.store_keys import remembered_digest
from core.data.viewer_store import load_viewer_volume
from core.dicom.series import read_series
from core.inference.outputs import read_predictions, write_predictions
from core.models.bundles import BundleInfo, list_bundles, read_bundle
from core.models.pairs import BundlePair
from core.types import CTVolume, SlicePredictions, StudyRecord
from dashboard.background.thread_jobs import PredictionJob, PredictionQueue, Progress
from dashboard.raw_boxes import keep_raw, raw_file, read_raw
from dashboard.reading import StudyReading, read_study
from dashboard.upload_reading import derived_folder, read_upload

if TYPE_CHECKING:
    from core.inference.box_reading import BoxReader
    from core.inference.predictor import Predictor

COUNT_SLICES_UP_TO = 300
"""Studies; counting the files of more takes seconds, so it is left to an index."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """The data set in use.

    Attributes:
        root: Its folder.
        synthetic: Whether it was generated.
        studies: Sorted by study_id.
        n_slices: Files in all; None where the set is too large to count while a page waits.
    """

    root: Path
    synthetic: bool
    studies: tuple[StudyRecord, ...]
    n_slices: int | None

    @property
    def n_labelled(self) -> int:
        """Studies with truth."""
        return sum(record.fractured is not None for record in self.studies)

    @property
    def n_fractured(self) -> int:
        """Labelled studies with at least one fracture."""
        return sum(record.patient_fractured is True for record in self.studies)


@dataclass(frozen=True, slots=True, eq=False)
class OpenStudy:
    """A series that was read.

    Attributes:
        fingerprint: sha256 of the files' contents; the key of everything derived.
        volume: The voxels, read-only.
        owner: Session that alone may see it, for an upload; None for what every session may open.
    """

    fingerprint: str
    volume: CTVolume
    owner: str | None = None


def settings() -> Settings:
    """Settings as the environment gives them now."""
    return Settings()


def find_cohort(root: Path | None = None) -> Cohort | None:
    """The data set in use; None where the embedded one has not been made yet.

    Args:
        root: Of another data set to read instead.

    Raises:
        DataRootError: The data root is not in RSNA's layout.
    """
    if root is None:
        current = settings()
        root = current.data_root
        if current.rsna_root is None and not (root / "train.csv").is_file():
            return None
    return _cohort(str(root), files_signature(root / "train.csv", root / "train_images"))


def open_study(
    folder: Path, *, owner: str | None = None, progress: Progress | None = None
) -> OpenStudy:
    """Read the series in `folder`, or take it from memory or store while its files stay the same.

    Args:
        folder: Holds the series.
        owner: Session that uploaded it: it is read in a process of its own, and nothing of it is
            kept in the store. None otherwise.
        progress: Called with slices read and slices in all while an upload is read; what it raises
            ends the reading.

    Raises:
        DicomSeriesError: The folder does not hold a readable CT series.
        StorageError: The store cannot be written.
        WorkerError: Reading an upload took too much memory or time, or broke its process.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
        signature = files_signature(*files)
    except OSError:
        # The reader finds the same fault and has the words for it.
        read_series(folder)
        raise
    return _open_study(str(folder), signature, owner, progress)


def all_bundles() -> list[BundleInfo]:
    """Every bundle that can be read, by name."""
    return list_bundles(settings().checkpoints)


def bundles(task: str) -> list[BundleInfo]:
    """Bundles of one task, by name."""
    return [bundle for bundle in all_bundles() if bundle.config.task == task]


def find_reading(study: OpenStudy, pair: BundlePair) -> StudyReading | None:
    """What the networks say of a study, from memory or disk; None where they have not run.

    Raises:
        PredictionsError: The stored table is broken.
    """
    folder = _predictions_folder(study, pair)
    table = folder / "slices.parquet"
    if not table.is_file():
        return None
    return _reading(str(folder), files_signature(table))


def stored_reading(folder: Path, pair: BundlePair) -> StudyReading | None:
    """What the networks said of a study of the data set, without opening it; None if nothing yet.

    Raises:
        DataRootError, DicomSeriesError: The folder cannot be read.
        PredictionsError: The stored table is broken.
    """
    fingerprint = remembered_digest(folder, fingerprint_folder, settings().rsna_cache)
    stored = settings().rsna_cache / "predictions" / f"{fingerprint}-{pair.digest}"
    table = stored / "slices.parquet"
    return _reading(str(stored), files_signature(table)) if table.is_file() else None


def start_prediction(study: OpenStudy, pair: BundlePair) -> PredictionJob:
    """Have the networks read a study in the background and store what they say."""
    folder = _predictions_folder(study, pair)

    def work(progress: Progress) -> None:
        _predict(study, pair, folder, progress)

    return _queue().submit(folder.name, work)


def find_job(study: OpenStudy, pair: BundlePair) -> PredictionJob | None:
    """The prediction of this study by this pair, if it was started since the server was."""
    return _queue().find(_predictions_folder(study, pair).name)


def forget_job(study: OpenStudy, pair: BundlePair) -> None:
    """Make room for another try."""
    _queue().forget(_predictions_folder(study, pair).name)


def predict_stored(folder: Path, pair: BundlePair) -> None:
    """Have the networks read a study of the data set and store what they say.

    Raises:
        DicomSeriesError, DataRootError, BundleError, StorageError: As their parts raise them.
    """
    volume = read_series(folder)
    fingerprint = remembered_digest(folder, fingerprint_folder, settings().rsna_cache)
    study = OpenStudy(fingerprint, volume)
    _predict(study, pair, _predictions_folder(study, pair), lambda done, total: None)


def _predict(study: OpenStudy, pair: BundlePair, folder: Path, progress: Progress) -> None:
    from core.inference.box_reading import BoxReader

    reader = _reader(str(pair.vertebra.folder), str(pair.fracture.folder), pair.digest)
    start = time.monotonic()
    if isinstance(reader, BoxReader):
        predictions = _read_by_boxes(study, pair.fracture, reader, progress)
    else:
        predictions = reader.predict(study.volume, progress=progress)
    write_predictions(folder, [predictions], seconds=[time.monotonic() - start], single=True)


def _read_by_boxes(
    study: OpenStudy, localizer: BundleInfo, reader: BoxReader, progress: Progress
) -> SlicePredictions:
    """Judge by the localiser's boxes; those that are kept are not looked for again."""
    file = raw_file(cache_of(study), study.fingerprint, localizer)
    raw = read_raw(str(file), files_signature(file)) if file.is_file() else None
    reading = reader.read(study.volume, raw=raw, progress=progress)
    if raw is None:
        keep_raw(file, reading.raw)
    return reading.predictions


@lru_cache(maxsize=2)
def _reader(vertebra: str, fracture: str, digest: str) -> Predictor | BoxReader:
    """A loaded pair; `digest` is part of the key only."""
    del digest
    # Here because it imports torch, which takes seconds; a page that predicts nothing skips it.
    from core.inference.box_reading import load_reader

    return load_reader(BundlePair(read_bundle(Path(vertebra)), read_bundle(Path(fracture))))


def cache_of(study: OpenStudy) -> Path:
    """Where to keep what is derived from a study: an upload's goes when the upload goes."""
    current = settings()
    if study.owner is None:
        return current.rsna_cache
    return derived_folder(study.owner, current)


def _predictions_folder(study: OpenStudy, pair: BundlePair) -> Path:
    return cache_of(study) / "predictions" / f"{study.fingerprint}-{pair.digest}"


@st.cache_resource(show_spinner=False)
def _queue() -> PredictionQueue:
    limits = settings()
    return PredictionQueue(limits.max_predictions, limits.max_waiting)


@st.cache_resource(max_entries=4, show_spinner=False)
def _cohort(root: str, signature: str) -> Cohort:
    del signature
    studies = tuple(read_studies(Path(root)))
    n_slices = None
    if len(studies) <= COUNT_SLICES_UP_TO:
        n_slices = sum(
            entry.suffix == ".dcm" for record in studies for entry in record.folder.iterdir()
        )
    return Cohort(Path(root), is_synthetic(Path(root)), studies, n_slices)


@st.cache_resource(max_entries=4, show_spinner=False)
def _open_study(
    folder: str, signature: str, owner: str | None, _progress: Progress | None
) -> OpenStudy:
    del signature
    path, cache_dir = Path(folder), settings().rsna_cache
    if owner is not None:
        volume = read_upload(path, owner, settings(), _progress)
        return OpenStudy(fingerprint_folder(path), volume, owner)
    stored = load_viewer_volume(StudyRecord(path.name, path), cache_dir=cache_dir)
    fingerprint = remembered_digest(path, fingerprint_folder, cache_dir)
    return OpenStudy(fingerprint, stored.as_volume())


@st.cache_resource(max_entries=64, show_spinner=False)
def _reading(folder: str, signature: str) -> StudyReading:
    del signature
    return read_study(read_predictions(Path(folder))[0])


def files_signature(*paths: Path) -> str:
    """Digest of names, sizes and change times: cheap, and different once a file is replaced."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat() if path.exists() else None
        size, changed = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        digest.update(f"{path}\0{size}\0{changed}\n".encode())
    return digest.hexdigest()
