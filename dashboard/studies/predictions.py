"""Scores of the networks for a study: from memory or disk, or computed in the background."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamlit as st

from core.cache.keys import fingerprint_folder
from core.errors import PredictionsError
from core.inference.outputs import SLICES_FILE, find_slices, read_slices, write_predictions
from core.inference.study_scores import StudyScores, score_study
from core.models.ensembles import networks_of
from core.models.pairs import BundlePair, read_pair
from core.prepared.series_digests import series_digest
from core.system.shared_slots import shared_slot
from core.types import Progress
from dashboard.background.budget import PREDICTIONS
from dashboard.background.job import Job
from dashboard.background.shelf import Shelf
from dashboard.background.thread_jobs import JobPool
from dashboard.session.access import check_allowed
from dashboard.session.session_end import asking_session, whose
from dashboard.session.settings import settings
from dashboard.studies.cohort import files_signature
from dashboard.studies.confined import passing_volume
from dashboard.studies.on_screen import wish_for
from dashboard.studies.open_study import OpenStudy, cache_of
from dashboard.studies.raw_boxes import find_raw, keep_raw, raw_file
from dashboard.studies.shipped import shipped_scores

if TYPE_CHECKING:
    from core.inference.study_predictor import StudyPredictor

SCORES: Final = Shelf[StudyScores](64)


def find_scores(study: OpenStudy, pair: BundlePair) -> StudyScores | None:
    """Scores of a study: shipped, from memory or disk; None if the networks have not run.

    Raises:
        PredictionsError: The stored table is damaged.
    """
    if (shipped := shipped_scores(study.volume, pair)) is not None:
        return shipped.scores
    return _scores_in(_predictions_folder(study, pair), study.owner)


def stored_predictions(study: OpenStudy, pair: BundlePair) -> Path | None:
    """Folder of the predictions of a study; None if the networks have not run here."""
    folder = _predictions_folder(study, pair)
    return None if find_slices(folder) is None else folder


def stored_scores(folder: Path, pair: BundlePair) -> StudyScores | None:
    """Stored scores of a study of the data set, without opening it; None if there are none.

    Raises:
        DataRootError, DicomSeriesError: The folder cannot be read.
        PredictionsError: The stored table is damaged.
    """
    fingerprint = series_digest(folder, fingerprint_folder, settings().rsna_cache)
    return _scores_in(settings().rsna_cache / "predictions" / f"{fingerprint}-{pair.digest}")


def start_prediction(study: OpenStudy, pair: BundlePair, *, beside: bool = False) -> Job[None]:
    """Run the networks on a study in the background and store their predictions.

    Args:
        study: Study on the screen.
        pair: The networks.
        beside: Whether their scores are shown beside those of the chosen networks, which go first.

    Raises:
        PredictionsError: The user may not use this server.
    """
    check_allowed("look", PredictionsError, "to run networks")
    folder = _predictions_folder(study, pair)
    before = files_signature(folder / SLICES_FILE)

    def work(progress: Progress) -> None:
        with prediction_slot("predictions", partial(progress, 0, 0)):
            # Another server process may have predicted the study meanwhile.
            if files_signature(folder / SLICES_FILE) == before:
                _predict(study, pair, folder, progress)

    wish = wish_for(study, f"beside {pair.digest}" if beside else "verdict")
    return _pool().submit(str(folder), work, **whose(study.owner), wish=wish, urgent=not beside)


def stop_prediction(study: OpenStudy, pair: BundlePair) -> None:
    """End a run for this session; it goes on for other sessions that show the study."""
    _pool().withdraw(asking_session(), str(_predictions_folder(study, pair)))


def find_job(study: OpenStudy, pair: BundlePair) -> Job[None] | None:
    """Run of this pair on this study, if it was started since the server started."""
    return _pool().find(str(_predictions_folder(study, pair)))


def predict_stored(folder: Path, pair: BundlePair) -> None:
    """Run the networks on a study of the data set and store their predictions.

    Raises:
        DicomSeriesError, DataRootError, BundleError, StorageError, WorkerError: The study, a
            bundle or the cache cannot be read or written, or the study breaks a limit.
    """
    fingerprint = series_digest(folder, fingerprint_folder, settings().rsna_cache)
    with passing_volume(folder) as volume:
        study = OpenStudy(fingerprint, volume)
        _predict(study, pair, _predictions_folder(study, pair), lambda done, total: None)


def prediction_slot(kind: str, on_wait: Callable[[], None]) -> AbstractContextManager[None]:
    """Wait for one of the `max_predictions` slots that the server processes of a machine share.

    Args:
        kind: Kind of work; each kind has its own slots.
        on_wait: Called while waiting; an exception that it raises ends the wait.
    """
    current = settings()
    folder = current.rsna_cache / "slots"
    return shared_slot(folder, kind, current.max_predictions, on_wait=on_wait)


def _predict(study: OpenStudy, pair: BundlePair, folder: Path, progress: Progress) -> None:
    segmenter = None if pair.segmenter is None else pair.segmenter.folder
    predictor = _predictor(pair.vertebra.folder, pair.fracture.folder, segmenter, pair.digest)
    start = time.monotonic()
    # Stored boxes of the localiser are not computed again.
    networks = networks_of(pair.fracture)
    localizer = next((one for one in networks if one.config.gives_boxes), pair.fracture)
    raw = find_raw(study, localizer)
    found = predictor.predict_with_boxes(study.volume, raw=raw, progress=progress)
    if raw is None and found.raw is not None:
        keep_raw(raw_file(study, localizer), found.raw)
    seconds = time.monotonic() - start
    write_predictions(folder, [found.predictions], seconds=[seconds], single=True, pair=pair)


@lru_cache(maxsize=2)
def _predictor(
    vertebra: Path, fracture: Path, segmenter: Path | None, digest: str
) -> StudyPredictor:
    """A loaded pair; `digest` is part of the key only."""
    del digest
    # Here because it imports torch, which takes seconds; a page that predicts nothing skips it.
    from core.inference.boxes.study_scores import load_predictor

    return load_predictor(read_pair(vertebra, fracture, segmenter))


def _predictions_folder(study: OpenStudy, pair: BundlePair) -> Path:
    return cache_of(study) / "predictions" / f"{study.fingerprint}-{pair.digest}"


def _scores_in(folder: Path, owner: str | None = None) -> StudyScores | None:
    table = find_slices(folder)
    if table is None:
        return None
    key = str(folder), files_signature(table)
    return SCORES.get(key, lambda: score_study(read_slices(table)[0]), owner=owner)


@st.cache_resource(show_spinner=False)
def _pool() -> JobPool:
    limits = settings()
    allowed = replace(PREDICTIONS, at_once=limits.max_predictions, waiting=limits.max_waiting)
    return JobPool("predictions", allowed)
