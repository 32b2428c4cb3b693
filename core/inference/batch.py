"""Prediction of one study or of all studies of a folder, written to files."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from core.dataset.study_search import FoundStudies, studies_at
from core.dicom.series import read_series
from core.errors import CSpineError, DicomSeriesError, WorkerError
from core.inference.boxes.predictor import BoxPredictor
from core.inference.boxes.study_scores import load_predictor
from core.inference.outputs import write_predictions
from core.inference.partial_results import (
    PredictionParts,
    StudyResult,
    part_key,
    without_repeats,
)
from core.inference.study_predictor import StudyPredictor
from core.models.bundles import BundleInfo, read_bundle
from core.models.ensembles import networks_of
from core.models.pairs import BundlePair, read_pair
from core.system.parallel import Workers, run_over
from core.types import CTVolume, Progress, StudyRecord

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
    segmenter: Path | None
    pair_digest: str
    localizer: Path | None
    device: str
    batch_size: int
    onnx_folder: Path | None
    reading_threads: int | None


def predict_folder(
    path: Path,
    out: Path,
    pair: BundlePair,
    *,
    localizer: BundleInfo | None = None,
    device: str = "auto",
    batch_size: int = 32,
    onnx_folder: Path | None = None,
    workers: Workers = THIS_PROCESS,
    progress: Progress | None = None,
) -> PredictionSummary:
    """Find the studies at a path and do what `predict_studies` does.

    Args:
        path: A DICOM folder, a folder of such folders, or a data root.
        out: As for `predict_studies`, like the others.
        pair: The networks.
        localizer: Localiser for the boxes.
        device: Device of each worker.
        batch_size: Slices in one pass.
        onnx_folder: As for `load_predictor`.
        workers: Where studies are predicted.
        progress: Counts slices for one study and studies for many.

    Raises:
        DataRootError: `path` holds no study.
        CSpineError: As `predict_studies` raises it.
    """
    return predict_studies(
        studies_at(path), out, pair, localizer=localizer, device=device, batch_size=batch_size,
        onnx_folder=onnx_folder, workers=workers, progress=progress,
    )  # fmt: skip


def predict_studies(
    found: FoundStudies,
    out: Path,
    pair: BundlePair,
    *,
    localizer: BundleInfo | None = None,
    device: str = "auto",
    batch_size: int = 32,
    onnx_folder: Path | None = None,
    workers: Workers = THIS_PROCESS,
    progress: Progress | None = None,
) -> PredictionSummary:
    """Predict studies and write the three files to `out`.

    With many studies, one that cannot be read is left out and named in the notes. Each finished
    study is kept in `out/parts` until the joined files are written and no study is left out, so
    that a repeated call continues an interrupted one.

    Args:
        found: The studies; workers on other machines must see them and the bundles under the same
            paths.
        out: Output folder, made if missing.
        pair: The networks.
        localizer: Localiser for the boxes; without it `boxes.csv` has its header only.
        device: Device of each worker, as for `pick_device`.
        batch_size: Slices in one pass.
        onnx_folder: As for `load_predictor`.
        workers: Where studies are predicted; each worker loads the networks once. One study is
            always predicted in this process.
        progress: Counts slices for one study and studies for many.

    Raises:
        DicomSeriesError: The one study, or every study, cannot be read.
        BundleError, ConfigError, DeviceError, StorageError: As their parts raise them.
    """
    if found.single:
        (record,) = found.records
        predictor = load_predictor(
            pair, device=device, batch_size=batch_size, onnx_folder=onnx_folder
        )
        boxes = _box_predictor(pair, localizer, device)
        results = [_predict_study(record, predictor, boxes, progress=progress)]
        return _finish(out, results, found.notes, pair, single=True)
    networks = _Networks(
        vertebra=pair.vertebra.folder.absolute(),
        fracture=pair.fracture.folder.absolute(),
        segmenter=None if pair.segmenter is None else pair.segmenter.folder.absolute(),
        pair_digest=pair.digest
        + ("" if localizer is None else localizer.config.weights_sha256)
        + ("" if onnx_folder is None else "onnx"),
        localizer=None if localizer is None else localizer.folder.absolute(),
        device=device,
        batch_size=batch_size,
        onnx_folder=None if onnx_folder is None else onnx_folder.absolute(),
        reading_threads=None if workers == THIS_PROCESS else 1,
    )
    parts = PredictionParts(out)
    studies = [replace(record, folder=record.folder.absolute()) for record in found.records]
    done, errors = _predict_many(studies, networks, parts, workers, progress)
    if not done:
        raise next(iter(errors.values()))
    results, repeated = without_repeats([done[study] for study in sorted(done)])
    left_out = [f"Left out: {errors[study]}" for study in sorted(errors)]
    summary = _finish(out, results, (*left_out, *found.notes, *repeated), pair, single=False)
    if not errors:
        parts.discard()
    return summary


def _predict_many(
    studies: Sequence[StudyRecord],
    networks: _Networks,
    parts: PredictionParts,
    workers: Workers,
    progress: Progress | None,
) -> tuple[dict[str, StudyResult], dict[str, CSpineError]]:
    """Find finished parts and predict the other studies; results and errors by study id."""
    errors: dict[str, CSpineError] = {}
    keys: dict[str, str] = {}
    with ThreadPoolExecutor(_LISTING_THREADS) as pool:
        named = pool.map(functools.partial(_part_key, networks.pair_digest), studies)
        for study, key in zip(studies, named, strict=True):
            if isinstance(key, DicomSeriesError):
                errors[study.study_id] = key
            else:
                keys[study.study_id] = key
    done = {f: found for f, key in keys.items() if (found := parts.find(key)) is not None}
    settled = len(done) + len(errors)

    def count(now: int, _: int) -> None:
        if progress is not None:
            progress(settled + now, len(studies))

    todo = [s for s in studies if s.study_id in keys and s.study_id not in done]
    predict = functools.partial(_predict_with, networks)
    for outcome in run_over(predict, todo, workers=workers, progress=count):
        study_id = outcome.item.study_id
        if outcome.value is not None:
            parts.keep(keys[study_id], outcome.value)
            done[study_id] = outcome.value
        elif isinstance(outcome.error, DicomSeriesError):
            errors[study_id] = outcome.error
        elif isinstance(outcome.error, WorkerError):
            errors[study_id] = WorkerError(f"{study_id}: {outcome.error}")
        elif outcome.error is not None:
            raise outcome.error
    return done, errors


def _part_key(pair_digest: str, study: StudyRecord) -> str | DicomSeriesError:
    try:
        return part_key(study.folder, pair_digest)
    except DicomSeriesError as error:
        return error


def _predict_with(networks: _Networks, study: StudyRecord) -> StudyResult:
    predictor, boxes = _predictors(networks)
    return _predict_study(study, predictor, boxes, threads=networks.reading_threads)


@functools.lru_cache(maxsize=1)
def _predictors(networks: _Networks) -> tuple[StudyPredictor, BoxPredictor | None]:
    """Load the networks once per process."""
    pair = read_pair(networks.vertebra, networks.fracture, networks.segmenter)
    predictor = load_predictor(
        pair, device=networks.device, batch_size=networks.batch_size,
        onnx_folder=networks.onnx_folder,
    )  # fmt: skip
    localizer = None if networks.localizer is None else read_bundle(networks.localizer)
    return predictor, _box_predictor(pair, localizer, networks.device)


def _box_predictor(
    pair: BundlePair, localizer: BundleInfo | None, device: str
) -> BoxPredictor | None:
    """The localiser to run in addition to the pair; None if the pair gives the boxes itself."""
    if localizer is None or localizer.config in [one.config for one in networks_of(pair.fracture)]:
        return None
    return BoxPredictor([localizer], device=device)


def _predict_study(
    study: StudyRecord,
    predictor: StudyPredictor,
    boxes: BoxPredictor | None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    start = time.perf_counter()
    volume = read_series(study.folder, jobs=threads)
    prediction = predictor.predict_with_boxes(volume, progress=progress)
    if boxes is None:
        found = predictor.boxes_of(prediction, volume)
    else:
        found = boxes.boxes_of(boxes.predict(volume), volume)
    study_id = _id_of(study, volume)
    notes = tuple(f"{study_id}: {note}" for note in volume.notes)
    predictions = replace(prediction.predictions, study_id=study_id)
    return StudyResult(predictions, time.perf_counter() - start, notes, found)


def _id_of(study: StudyRecord, volume: CTVolume) -> str:
    """Return the id under which the study was found, or that of the series where they differ.

    A folder that holds files of several studies is found by one of them and may be read as another.
    """
    by_name = study.study_id in (study.folder.name, *study.names)
    return study.study_id if by_name or not volume.study_uid else volume.study_uid


def _finish(
    out: Path,
    results: Sequence[StudyResult],
    first_notes: Sequence[str],
    pair: BundlePair,
    *,
    single: bool,
) -> PredictionSummary:
    """Write the joined files and sum up."""
    write_predictions(
        out,
        [result.predictions for result in results],
        seconds=[result.seconds for result in results],
        single=single,
        boxes={result.predictions.study_id: result.boxes for result in results},
        pair=pair,
    )
    notes = [note for result in results for note in result.notes]
    slices = sum(result.predictions.n_slices for result in results)
    return PredictionSummary(len(results), slices, (*first_notes, *notes))
