"""Button that runs the localiser on a study, and its progress."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.models.bundles import BundleInfo
from dashboard.studies.localizer import (
    find_box_job,
    localizer_in_use,
    start_boxes,
    stop_boxes,
)
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.raw_boxes import find_raw
from dashboard.widgets.study_work import StudyWork, allow, study_work


def box_request(study: OpenStudy) -> None:
    """Offer to run the localiser, if there is one and it has not run on the study.

    Args:
        study: Study on show.
    """
    bundle = localizer_in_use()
    if bundle is None or find_raw(study, bundle) is not None:
        return
    job = find_box_job(study, bundle)
    # A finished run whose boxes were deleted from the cache since may be asked for again.
    if job is not None and not (job.finished and job.error is None):
        box_progress(study, bundle)
        return
    # No callback: Streamlit keeps what one is called with, so an upload would outlive its session.
    if st.button(
        "Predict boxes", key="predict_boxes", icon=":material/select_all:",
        help="Runs the localiser on every slice and joins its boxes along z.",
    ):  # fmt: skip
        _start(study, bundle)
        st.rerun()


def _start(study: OpenStudy, bundle: BundleInfo) -> None:
    allow(_work(study, bundle).place)
    start_boxes(study, bundle)


def box_progress(study: OpenStudy, bundle: BundleInfo) -> None:
    """Run the localiser on a study and show its progress; the page is drawn again at its end."""
    study_work(_work(study, bundle))


def _work(study: OpenStudy, bundle: BundleInfo) -> StudyWork:
    return StudyWork(
        key="boxes",
        place=f"{study.fingerprint} {bundle.config.weights_sha256}",
        icon=":material/select_all:",
        find=partial(find_box_job, study, bundle),
        start=partial(start_boxes, study, bundle),
        stop=partial(stop_boxes, study, bundle),
        counted="Predicting boxes: slice {done} of {total}",
        starting="Loading the localiser …",
        cancelled="The localiser has not run on this study: you cancelled it.",
        again="Predict boxes",
    )
