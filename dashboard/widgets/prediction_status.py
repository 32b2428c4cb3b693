"""From "not read yet" to a reading: starts the networks and shows how far they are."""

from __future__ import annotations

import time

import streamlit as st

from core.errors import PredictionsError
from core.inference.study_scores import StudyScores
from core.models.pairs import BundlePair
from dashboard.background.thread_jobs import PredictionJob
from dashboard.session.wording import place_in_line
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.predictions import find_job, find_scores, forget_job, start_prediction
from dashboard.widgets.notices import show_error, show_warning

_POLL_SECONDS = 0.4


def reading_or_progress(study: OpenStudy, pair: BundlePair | None) -> StudyScores | None:
    """The study's reading; where there is none yet, start the networks and show their progress."""
    if pair is None:
        return None
    try:
        reading = find_scores(study, pair)
    except PredictionsError as error:
        show_warning(f"{error} The networks run again.", icon=":material/restart_alt:")
        reading = None
    if reading is not None:
        return reading
    job = find_job(study, pair)
    if job is not None and job.error is not None:
        show_error(job.error, icon=":material/neurology:")
        st.button("Try again", on_click=forget_job, args=(study, pair), icon=":material/replay:")
        return None
    _progress(start_prediction(study, pair))
    return None


@st.fragment(run_every=_POLL_SECONDS)
def _progress(job: PredictionJob) -> None:
    """Poll the job; once it is finished, draw the page anew with its result."""
    if job.finished:
        st.rerun()
    if job.place:
        st.progress(0.0, text=f"{place_in_line(job.place)} Browse the slices meanwhile.")
        return
    if job.total == 0:
        st.progress(0.0, text="Loading the networks …")
        return
    left = job.seconds_left(time.monotonic())
    remaining = "" if left is None else f" · about {max(1, round(left))} s left"
    st.progress(
        job.done / job.total,
        text=f"Reading slice {job.done} of {job.total}{remaining}. Browse the slices meanwhile.",
    )
