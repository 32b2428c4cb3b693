"""Prediction over one study or all studies of a folder, written as `predict` writes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.data.dicom_series import read_series
from core.data.rsna import read_studies
from core.errors import DataRootError, DicomSeriesError
from core.inference.outputs import write_predictions
from core.inference.predictor import Predictor
from core.models.pairs import BundlePair
from core.types import SlicePredictions

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """What a call of `predict_folder` did.

    Attributes:
        n_studies: Studies predicted.
        n_slices: Their slices.
        notes: Sentences about studies left out and choices made while reading.
    """

    n_studies: int
    n_slices: int
    notes: tuple[str, ...]


def study_folders(path: Path) -> list[Path]:
    """Folders to read as one series each: `path` itself, or all studies below it.

    Raises:
        DataRootError: `path` is not a folder, or nothing below it can be a study.
    """
    if not path.is_dir():
        raise DataRootError(f"{path} is not a folder; give a DICOM folder or a data root.")
    if (path / "train_images").is_dir():
        return [record.folder for record in read_studies(path)]
    if any(entry.is_file() and not entry.name.startswith(".") for entry in path.iterdir()):
        return [path]
    found = sorted(entry for entry in path.iterdir() if entry.is_dir())
    if not found:
        raise DataRootError(f"{path} is empty; give a DICOM folder or a data root.")
    return found


def predict_folder(
    path: Path,
    out: Path,
    pair: BundlePair,
    *,
    device: str = "auto",
    batch_size: int = 32,
    progress: Progress | None = None,
) -> PredictionSummary:
    """Predict one study, or every study of a folder, and write the three files to `out`.

    Of many studies, one that cannot be read is left out and named in the notes. `progress` counts
    slices for one study and studies for many.

    Raises:
        DicomSeriesError: The one study, or every study, cannot be read.
        DataRootError: `path` holds no study.
        BundleError, DeviceError, StorageError: As their parts raise them.
    """
    folders = study_folders(path)
    single = folders == [path]
    predictor = Predictor(pair.vertebra, pair.fracture, device=device, batch_size=batch_size)
    predictions: list[SlicePredictions] = []
    seconds: list[float] = []
    notes: list[str] = []
    failure: DicomSeriesError | None = None
    for k, folder in enumerate(folders):
        start = time.perf_counter()
        try:
            volume = read_series(folder)
        except DicomSeriesError as error:
            failure = error
            notes.append(f"Left out: {error}")
            continue
        notes += [f"{folder.name}: {note}" for note in volume.notes]
        predictions.append(predictor.predict(volume, progress=progress if single else None))
        seconds.append(time.perf_counter() - start)
        if progress and not single:
            progress(k + 1, len(folders))
    if failure is not None and not predictions:
        raise failure
    write_predictions(out, predictions, seconds=seconds, single=single)
    return PredictionSummary(
        len(predictions), sum(study.n_slices for study in predictions), tuple(notes)
    )
