"""Predicted boxes: asked for by a button, because a localiser takes a while."""

from __future__ import annotations

import time

import streamlit as st

from core.models.bundles import BundleInfo
from dashboard.background.thread_jobs import PredictionJob
from dashboard.session.wording import place_in_line
from dashboard.studies.localizer import (
    find_box_job,
    forget_box_job,
    localizers,
    start_boxes,
)
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.raw_boxes import find_raw
from dashboard.widgets.notices import show_error

_POLL_SECONDS = 0.5


def box_request(study: OpenStudy) -> None:
    """Offer to run the localiser where there is one and it has not read the study.

    Args:
        study: The series.
    """
    bundle = next(iter(localizers()), None)
    if bundle is None or find_raw(study, bundle) is not None:
        return
    job = find_box_job(study, bundle)
    if job is None:
        st.button(
            "Predict boxes", key="predict_boxes", on_click=_start, args=(study, bundle),
            icon=":material/select_all:",
            help="Runs the localiser over every slice; its boxes are joined along z.",
        )  # fmt: skip
    elif job.error is not None:
        show_error(job.error, icon=":material/select_all:")
        st.button("Try again", key="boxes_again", on_click=forget_box_job, args=(study, bundle))
    else:
        box_progress(job)


def _start(study: OpenStudy, bundle: BundleInfo) -> None:
    start_boxes(study, bundle)


@st.fragment(run_every=_POLL_SECONDS)
def box_progress(job: PredictionJob) -> None:
    """Poll the job; once it is finished, draw the page anew with its boxes."""
    if job.finished:
        st.rerun()
    if job.place:
        st.progress(0.0, text=place_in_line(job.place))
        return
    if job.total == 0:
        st.progress(0.0, text="Loading the localiser …")
        return
    left = job.seconds_left(time.monotonic())
    remaining = "" if left is None else f" · about {max(1, round(left))} s left"
    st.progress(
        job.done / job.total, text=f"Looking at slice {job.done} of {job.total}{remaining}."
    )
