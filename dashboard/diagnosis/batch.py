"""Many studies scored one after the other in the background, and the table of results."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from core.constants import VERTEBRAE
from core.errors import CSpineError, PredictionsError
from core.inference.verdict import NO_CALL, judge
from core.models.pairs import BundlePair
from core.types import Progress, StudyRecord
from dashboard.background.budget import BATCHES
from dashboard.background.job import Job
from dashboard.background.thread_jobs import JobPool
from dashboard.session.access import check_allowed
from dashboard.session.session_end import whose
from dashboard.studies.predictions import predict_stored, prediction_slot, stored_scores


@dataclass(frozen=True, slots=True)
class StudyBatch:
    """Studies to score together.

    Attributes:
        records: The studies; without truth if the folder is not a data set.
        pair: The networks.
    """

    records: tuple[StudyRecord, ...]
    pair: BundlePair

    @property
    def key(self) -> str:
        """Key of the batch: digest of its folders and networks."""
        listed = "\n".join(str(record.folder) for record in self.records)
        return hashlib.sha256(f"{listed}\n{self.pair.digest}".encode()).hexdigest()[:24]


def start_batch(batch: StudyBatch) -> Job[None]:
    """Score the studies that these networks have not scored yet, in the background.

    Raises:
        PredictionsError: The user may not score many studies.
    """
    check_allowed("browse", PredictionsError, "to score many studies")
    failures = _failures(batch.key)
    failures.clear()

    def is_scored(record: StudyRecord) -> bool:
        try:
            return stored_scores(record.folder, batch.pair) is not None
        except CSpineError:
            return False

    def work(progress: Progress) -> None:
        # Studies scored before are not counted: they take no time and would distort the estimate.
        unscored = [record for record in batch.records if not is_scored(record)]
        for number, record in enumerate(unscored):
            wait = partial(progress, number, len(unscored))
            wait()
            with prediction_slot("batches", wait):
                # Another server process may have scored it meanwhile.
                if is_scored(record):
                    continue
                try:
                    predict_stored(record.folder, batch.pair)
                except CSpineError as error:
                    failures[record.study_id] = str(error)
        progress(len(unscored), len(unscored))

    return _pool().submit(batch.key, work, **whose(None))


def find_batch(batch: StudyBatch) -> Job[None] | None:
    """Job of the batch, if it was started since the server started."""
    return _pool().find(batch.key)


def batch_table(batch: StudyBatch) -> pd.DataFrame:
    """Results so far, one row per study that was scored or failed.

    Returns:
        Columns Study, Patient (p), Call, Truth and Right (empty if unknown), p of C1..C7,
        Distribution (score, empty without a reference), Problem.
    """
    failures = _failures(batch.key)
    rows = [
        row
        for record in batch.records
        if (row := _row(record, batch.pair, failures.get(record.study_id))) is not None
    ]
    columns = ["Study", "Patient", "Call", "Truth", "Right", *VERTEBRAE, "Distribution", "Problem"]
    return pd.DataFrame(rows, columns=columns)


def correct_calls(table: pd.DataFrame) -> tuple[int, int]:
    """Number of labelled, scored studies with a correct call, and number of all of them."""
    known = table["Right"].dropna()
    return sum(1 for value in known if value == "yes"), len(known)


def _row(record: StudyRecord, pair: BundlePair, problem: str | None) -> Sequence[object] | None:
    blank = [None] * (len(VERTEBRAE) + 1)
    if problem is not None:
        return [record.study_id, None, None, None, None, *blank, problem]
    try:
        scores = stored_scores(record.folder, pair)
    except CSpineError as error:
        return [record.study_id, None, None, None, None, *blank, str(error)]
    if scores is None:
        return None
    verdict = judge(scores, pair)
    truth, called = record.patient_fractured, verdict.calls.patient
    words = {True: "fracture", False: "none", None: None}
    # A study without a call is neither right nor wrong.
    right = None if truth is None or called is None else ("yes" if truth == called else "no")
    probs = [float(p) for p in scores.patient.vertebra_probs]
    note = f"{NO_CALL} {verdict.reason}" if called is None else verdict.uncertainty
    return [
        record.study_id, verdict.prob, words[called], words[truth], right, *probs, verdict.score,
        note,
    ]  # fmt: skip


@st.cache_resource(show_spinner=False)
def _pool() -> JobPool:
    """A separate pool: a study that is opened meanwhile does not wait for the batch."""
    return JobPool("batches", BATCHES)


@st.cache_resource(max_entries=16, show_spinner=False)
def _failures(key: str) -> dict[str, str]:
    """Reason by study id for the studies of a batch that could not be scored."""
    del key
    return {}
