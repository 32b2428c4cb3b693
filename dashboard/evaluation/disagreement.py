"""Where two models disagree: a point for each study, which opens it on Diagnosis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from scipy.stats import rankdata

from core.types import StudyId
from core.visualization.colors import POSITIVE_COLOR
from dashboard.evaluation.charts.disagreement import disagreement_figure
from dashboard.evaluation.comparison import ComparisonTable, networks_behind
from dashboard.evaluation.curve_charts import title
from dashboard.session import state
from dashboard.session.urls import PAGES
from dashboard.session.worklist import WorkItem, Worklist, open_worklist
from dashboard.studies.synthetic_studies import shown_here
from dashboard.widgets.palette import NEUTRAL
from dashboard.widgets.plot_area import show_chart

_CHART: Final = "ev_disagreement"
_WANTED: Final = "_ev_disagreement_study"
AT_MOST: Final = 60
"""Studies of the worklist, those with the largest disagreement first."""


def disagreement(comparison: ComparisonTable) -> None:
    """Draw the patient scores of two of the models against each other."""
    names = comparison.names
    title(
        "Where do two models disagree?",
        "Each point is a study with its two patient scores; a click opens it on Diagnosis.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.selectbox("Across", names, key="ev_across")
        second = st.selectbox("Up", [name for name in names if name != first], key="ev_up")
        pair = (str(first), str(second))
        order = by_disagreement(comparison, pair)
        opened = st.button(
            "Open the largest disagreement", key="ev_open_disagreement",
            icon=":material/radiology:", disabled=not _shown_here(comparison, [int(order[0])]),
            help="Opens it on Diagnosis, with buttons to the next and the previous one.",
        )  # fmt: skip
    st.html(_legend())
    truth = comparison.evaluated.data.truth
    show_chart(
        disagreement_figure(
            pair, _scores(comparison, pair), np.asarray(truth.fractured.any(axis=1)),
            truth.study_ids.tolist(),
        ),
        _CHART, f"Patient scores of {pair[0]} and {pair[1]}, one point for each study",
        selection_mode="points", on_select=_clicked,
    )  # fmt: skip
    clicked = state.recall(_WANTED)
    state.remember(_WANTED, None)
    if opened:
        clicked = int(order[0])
    if clicked is not None and 0 <= clicked < truth.n_studies:
        _open(comparison, pair, order, clicked)


def by_disagreement(comparison: ComparisonTable, pair: tuple[str, str]) -> NDArray[np.intp]:
    """Indices of the studies, the largest difference of the two models' ranks first."""
    first, second = (rankdata(scores) for scores in _scores(comparison, pair))
    return np.argsort(-np.abs(first - second), kind="stable")


def _scores(
    comparison: ComparisonTable, pair: tuple[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    data = comparison.evaluated.data
    return data.model(pair[0]).patient_scores, data.model(pair[1]).patient_scores


def _clicked() -> None:
    mark = state.clicked_mark(_CHART)
    if mark is not None:
        state.remember(_WANTED, mark[0])


def _open(
    comparison: ComparisonTable, pair: tuple[str, str], order: NDArray[np.intp], place: int
) -> None:
    """Open a study on Diagnosis, in a worklist of those with the largest disagreement."""
    if not _shown_here(comparison, [place]):
        st.caption("This study is not on disk here, so it cannot be opened.")
        return
    listed = _shown_here(comparison, map(int, order[:AT_MOST]))
    listed = listed if place in listed else [place, *listed]
    ids = comparison.evaluated.data.truth.study_ids
    one, other = _scores(comparison, pair)
    items = tuple(
        WorkItem(str(ids[k]), f"{pair[0]} {one[k]:.3f}, {pair[1]} {other[k]:.3f}") for k in listed
    )
    networks = (networks_behind(comparison.models[name]) for name in pair)
    worklist = Worklist(
        f"Disagreement of {pair[0]} and {pair[1]}", items, "evaluation",
        next((found for found in networks if found is not None), None),
    )  # fmt: skip
    open_worklist(worklist, listed.index(place))
    st.switch_page(PAGES / "diagnosis.py")


def _shown_here(comparison: ComparisonTable, places: Iterable[int]) -> list[int]:
    """Those of the studies, by index, that can be opened here."""
    ids = comparison.evaluated.data.truth.study_ids
    studies = {place: StudyId(ids[place]) for place in places}
    here = shown_here(studies.values(), comparison.truth.root)
    return [place for place, study in studies.items() if study in here]


def _legend() -> str:
    parts = (("fractured", POSITIVE_COLOR), ("not fractured", NEUTRAL))
    tags = "".join(
        f'<li><span class="lab-chip" style="background:{color}"></span>{label}</li>'
        for label, color in parts
    )
    return f'<ul class="lab-facts">{tags}</ul>'
