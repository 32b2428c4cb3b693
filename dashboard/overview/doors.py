"""The three ways into the program, each with a picture or figures of what is there."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from core.errors import CSpineError
from core.models.measured import measured_at
from core.models.operating_points import operating_point
from core.models.pairs import preferred_fracture_bundle
from core.training.run_list import RunSummary, list_runs
from core.types import StudyId
from dashboard.session.settings import settings
from dashboard.session.urls import PAGES
from dashboard.studies.cohort import all_bundles, bundle_title
from dashboard.studies.current_set import current_cohort
from dashboard.studies.pictures import WantedPicture
from dashboard.tour.bar import tour_start
from dashboard.tour.stops import example_study
from dashboard.widgets.pictures import picture_html


def doors() -> None:
    """Draw the three ways, and the tour below them."""
    with st.container(key="doors"):
        columns = st.columns(3, gap="medium")
    for column, (page, label, icon, picture, text) in zip(
        columns,
        (
            ("diagnosis", "Look at a patient", "radiology", _patient(),
             "Slices, probabilities along the cervical spine, and a call you can question."),
            ("evaluation", "Tune a threshold", "monitoring", _threshold(),
             "How many fractures may be missed, and how many false alarms is that worth?"),
            ("training", "Train a model", "model_training", _runs(),
             "A run of your own, planned, watched and compared with the shipped networks."),
        ),
        strict=True,
    ):  # fmt: skip
        with column, st.container(key=f"door_{page}"):
            st.html(f'<div class="lab-door">{picture}</div>')
            st.page_link(
                PAGES / f"{page}.py", label=label, icon=f":material/{icon}:", width="stretch"
            )
            st.html(f'<p class="lab-muted">{text}</p>')
    tour_start()


def _patient() -> str:
    """A slice of a study of the data set, around its boxes."""
    try:
        cohort = current_cohort()
        study = None if cohort is None else example_study(cohort.studies)
        if cohort is None or study is None:
            return _figure("–", "no studies yet")
        wanted = WantedPicture(StudyId(study), None, cohort.root, predicted=False)
        return picture_html(wanted, "A slice of a study of the data set with its true boxes")
    except CSpineError:
        # The card of the data set says what is wrong with it.
        return _figure("–", "no studies can be read")


def _threshold() -> str:
    """What the default network's operating point achieves."""
    bundle = preferred_fracture_bundle(all_bundles())
    if bundle is None:
        return _figure("–", "no network yet")
    point = operating_point(bundle, "patient")
    found = measured_at(bundle, "patient", point.threshold)
    name = escape(bundle_title(bundle))
    if found is None:
        return _figure(f"{point.threshold:.2f}", f"threshold of {name}")
    return _figure(
        f"{found.sensitivity:.0%} · {found.specificity:.0%}",
        f"sensitivity and specificity of {name} for {found.count} "
        f"{'synthetic ' if found.synthetic else ''}patients, at {point.threshold:.2f}",
    )


def _runs() -> str:
    """The runs of this installation."""
    runs: Sequence[RunSummary] = list_runs(settings().runs_root)
    if not runs:
        return _figure("0", "runs so far: the first takes a few minutes")
    latest = runs[0]
    return _figure(str(len(runs)), f"runs, the latest {escape(latest.state)}")


def _figure(value: str, below: str) -> str:
    return f"<div><b>{value}</b><span>{below}</span></div>"
