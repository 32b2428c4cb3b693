"""From a chosen study to its scores: open it, run the networks, show their progress."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.errors import PredictionsError
from core.inference.study_scores import StudyScores
from core.models.pairs import BundlePair
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.predictions import (
    find_job,
    find_scores,
    start_prediction,
    stop_prediction,
)
from dashboard.studies.shipped import shipped_scores
from dashboard.widgets.notices import show_warning
from dashboard.widgets.series_facts import domain_warning
from dashboard.widgets.study_picker import StudyChoice, open_choice
from dashboard.widgets.study_work import StudyWork, study_work


def study_with_scores(
    choice: StudyChoice | None, pair: BundlePair | None
) -> tuple[OpenStudy, StudyScores | None] | None:
    """Open a study and run the networks; None while it is not open.

    Args:
        choice: The study; None before one is chosen.
        pair: The networks; None if there are none.
    """
    with st.container(key="notices"):
        study = open_choice(choice)
        if choice is None or study is None:
            return None
        domain_warning(choice, pair)
        return study, _scores_or_progress(study, pair)


def _scores_or_progress(study: OpenStudy, pair: BundlePair | None) -> StudyScores | None:
    if pair is None:
        return None
    try:
        if (shipped := shipped_scores(study.volume, pair)) is not None:
            st.caption(f":material/inventory_2: {shipped.origin}")
            return shipped.scores
        if (scores := find_scores(study, pair)) is not None:
            return scores
    except PredictionsError as error:
        show_warning(f"{error} The networks are running again.", icon=":material/restart_alt:")
    study_work(
        StudyWork(
            key="read",
            place=f"{study.fingerprint} {pair.digest}",
            icon=":material/neurology:",
            find=partial(find_job, study, pair),
            start=partial(start_prediction, study, pair),
            stop=partial(stop_prediction, study, pair),
            counted="Scoring slice {done} of {total}",
            starting="Loading the networks into memory: about ten seconds the first time …",
            note="You can browse the slices meanwhile.",
            cancelled="The networks have not scored this study: you cancelled it.",
            again="Score this study",
        )
    )
    return None
