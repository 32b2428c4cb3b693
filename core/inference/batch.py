"""Prediction of one study or of all studies of a folder, written to files."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.errors import CSpineError, DataRootError, DicomSeriesError, WorkerError
from core.inference.boxes.predictor import BoxPredictor
from core.inference.boxes.study_scores import load_predictor
from core.inference.outputs import write_predictions
from core.inference.partial_results import PredictionParts, StudyResult, part_key
from core.inference.predictor import StudyPredictor
from core.models.bundles import BundleInfo, read_bundle
from core.models.pairs import BundlePair
from core.system.parallel import Workers, run_over
from core.types import Progress

THIS_PROCESS: Final = Workers(jobs=1)
"""Best if one process already uses the whole device: the networks use every core, or the GPU."""

_LISTING_THREADS: Final = 16
"""Folders listed at the same time; over a network each listing costs a round trip."""


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """Result of `predict_folder`.

    Attributes:
        n_studies: Studies predicted.
        n_slices: Slices of these studies.
        notes: Sentences about studies left out and choices made while reading.
    """

    n_studies: int
    n_slices: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Networks:
    """Where a worker finds the networks and how it runs them; small, hashable, picklable.

    `pair_digest` makes a long-lived worker reload a bundle that has changed.
    """

    vertebra: Path
    fracture: Path
    pair_digest: str
    localizer: Path | None
    device: str
    batch_size: int
    reading_threads: int | None


def is_one_study(path: Path) -> bool:
    """Whether `path` is the folder of a single study."""
    return not (path / "train_images").is_dir() and any(
        entry.is_file() and not entry.name.startswith(".") for entry in path.glob("*")
    )


def study_folders(path: Path) -> list[Path]:
    """List the study folders: `path` itself, or all studies below it.

    Raises:
        DataRootError: `path` is not a folder, or nothing below it can be a study.
    """
    if not path.is_dir():
        raise DataRootError(f"{path} is not a folder; give a DICOM folder or a data root.")
    if (path / "train_images").is_dir():
        return [record.folder for record in read_studies(path)]
    if is_one_study(path):
        return [path]
    found = sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if not found:
        raise DataRootError(f"{path} is empty; give a DICOM folder or a data root.")
    return found


def predict_folder(
    path: Path,
    out: Path,
    pair: BundlePair,
    *,
    localizer: BundleInfo | None = None,
    device: str = "auto",
    batch_size: int = 32,
    workers: Workers = THIS_PROCESS,
    progress: Progress | None = None,
) -> PredictionSummary:
    """Predict one study, or every study of a folder, and write the three files to `out`.

    With many studies, one that cannot be read is left out and named in the notes. Each finished
    study is kept in `out/parts` until the joined files are written and no study is left out, so
    that a repeated call continues an interrupted one.

    Args:
        path: A DICOM folder, a folder of DICOM folders, or a data root; workers on other machines
            must see it and the bundles under the same paths.
        out: Output folder, made if missing.
        pair: The networks.
        localizer: Localiser for the boxes; without it `boxes.csv` has its header only.
        device: Device of each worker, as for `pick_device`.
        batch_size: Slices in one pass.
        workers: Where studies are predicted; each worker loads the networks once. One study is
            always predicted in this process.
        progress: Counts slices for one study and studies for many.

    Raises:
        DicomSeriesError: The one study, or every study, cannot be read.
        DataRootError: `path` holds no study.
        BundleError, ConfigError, DeviceError, StorageError: As their parts raise them.
    """
    folders = [folder.absolute() for folder in study_folders(path)]
    if folders == [path.absolute()]:
        predictor = load_predictor(pair, device=device, batch_size=batch_size)
        boxes = _box_predictor(pair, localizer, device)
        results = [_predict_study(path, predictor, boxes, progress=progress)]
        return _finish(out, results, single=True)
    networks = _Networks(
        vertebra=pair.vertebra.folder.absolute(),
        fracture=pair.fracture.folder.absolute(),
        pair_digest=pair.digest + ("" if localizer is None else localizer.config.weights_sha256),
        localizer=None if localizer is None else localizer.folder.absolute(),
        device=device,
        batch_size=batch_size,
        reading_threads=None if workers == THIS_PROCESS else 1,
    )
    parts = PredictionParts(out)
    done, errors = _predict_many(folders, networks, parts, workers, progress)
    kept = sorted(done)
    if not kept:
        raise next(iter(errors.values()))
    left_out = tuple(f"Left out: {errors[folder]}" for folder in sorted(errors))
    summary = _finish(out, [done[folder] for folder in kept], single=False, left_out=left_out)
    if not errors:
        parts.discard()
    return summary


def _predict_many(
    folders: Sequence[Path],
    networks: _Networks,
    parts: PredictionParts,
    workers: Workers,
    progress: Progress | None,
) -> tuple[dict[Path, StudyResult], dict[Path, CSpineError]]:
    """Find finished parts and predict the other studies; results and errors by folder."""
    errors: dict[Path, CSpineError] = {}
    keys: dict[Path, str] = {}
    with ThreadPoolExecutor(_LISTING_THREADS) as pool:
        named = pool.map(functools.partial(_part_key, networks.pair_digest), folders)
        for folder, key in zip(folders, named, strict=True):
            if isinstance(key, DicomSeriesError):
                errors[folder] = key
            else:
                keys[folder] = key
    done = {f: found for f, key in keys.items() if (found := parts.find(key)) is not None}
    settled = len(done) + len(errors)

    def count(now: int, _: int) -> None:
        if progress is not None:
            progress(settled + now, len(folders))

    todo = [folder for folder in keys if folder not in done]
    predict = functools.partial(_predict_with, networks)
    for outcome in run_over(predict, todo, workers=workers, progress=count):
        if outcome.value is not None:
            parts.keep(keys[outcome.item], outcome.value)
            done[outcome.item] = outcome.value
        elif isinstance(outcome.error, DicomSeriesError):
            errors[outcome.item] = outcome.error
        elif isinstance(outcome.error, WorkerError):
            errors[outcome.item] = WorkerError(f"{outcome.item.name}: {outcome.error}")
        elif outcome.error is not None:
            raise outcome.error
    return done, errors


def _part_key(pair_digest: str, folder: Path) -> str | DicomSeriesError:
    try:
        return part_key(folder, pair_digest)
    except DicomSeriesError as error:
        return error


def _predict_with(networks: _Networks, folder: Path) -> StudyResult:
    predictor, boxes = _predictors(networks)
    return _predict_study(folder, predictor, boxes, threads=networks.reading_threads)


@functools.lru_cache(maxsize=1)
def _predictors(networks: _Networks) -> tuple[StudyPredictor, BoxPredictor | None]:
    """Load the networks once per process."""
    pair = BundlePair(read_bundle(networks.vertebra), read_bundle(networks.fracture))
    predictor = load_predictor(pair, device=networks.device, batch_size=networks.batch_size)
    localizer = None if networks.localizer is None else read_bundle(networks.localizer)
    return predictor, _box_predictor(pair, localizer, networks.device)


def _box_predictor(
    pair: BundlePair, localizer: BundleInfo | None, device: str
) -> BoxPredictor | None:
    """The localiser to run in addition to the pair; None if the pair gives the boxes itself."""
    if localizer is None or localizer.config == pair.fracture.config:
        return None
    return BoxPredictor([localizer], device=device)


def _predict_study(
    folder: Path,
    predictor: StudyPredictor,
    boxes: BoxPredictor | None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    start = time.perf_counter()
    volume = read_series(folder, jobs=threads)
    prediction = predictor.predict_with_boxes(volume, progress=progress)
    if boxes is None:
        found = predictor.boxes_of(prediction, volume)
    else:
        found = boxes.boxes_of(boxes.predict(volume), volume)
    notes = tuple(f"{folder.name}: {note}" for note in volume.notes)
    return StudyResult(prediction.predictions, time.perf_counter() - start, notes, found)


def _finish(
    out: Path, results: Sequence[StudyResult], *, single: bool, left_out: tuple[str, ...] = ()
) -> PredictionSummary:
    """Write the joined files and sum up."""
    write_predictions(
        out,
        [result.predictions for result in results],
        seconds=[result.seconds for result in results],
        single=single,
        boxes={result.predictions.study_id: result.boxes for result in results},
    )
    notes = [note for result in results for note in result.notes]
    slices = sum(result.predictions.n_slices for result in results)
    return PredictionSummary(len(results), slices, (*left_out, *notes))
