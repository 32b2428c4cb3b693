"""Predicted boxes: where a localiser takes a while, they are asked for by a button."""

from __future__ import annotations

import streamlit as st

from core.models.bundles import BundleInfo
from dashboard.studies.localizer import find_box_job, localizers, start_boxes
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.raw_boxes import find_raw
from dashboard.widgets.job_status import failed, job_progress, poll


def box_request(study: OpenStudy) -> None:
    """Offer to run the localiser where there is one and it has not read the study.

    Args:
        study: The series.
    """
    bundle = next(iter(localizers()), None)
    if bundle is None or find_raw(study, bundle) is not None:
        return
    if find_box_job(study, bundle) is not None:
        box_progress(study, bundle)
        return
    st.button(
        "Predict boxes", key="predict_boxes", icon=":material/select_all:",
        on_click=_start, args=(study, bundle),
        help="Runs the localiser over every slice; its boxes are joined along z.",
    )  # fmt: skip


def _start(study: OpenStudy, bundle: BundleInfo) -> None:
    start_boxes(study, bundle)


def box_progress(study: OpenStudy, bundle: BundleInfo) -> None:
    """Run the localiser over a study and show how far it is; the page is drawn again at its end."""
    if failed(find_box_job(study, bundle), icon=":material/select_all:", key="boxes_again"):
        return
    job = start_boxes(study, bundle)
    poll(
        lambda: job_progress(
            job, "Looking at slice {done} of {total}", starting="Loading the localiser …"
        )
    )
