"""Data set explorer: facts, filters, charts, table and the opened study."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.dataset.statistics import summarise_studies
from core.dataset.study_table import StudyFilter, select
from dashboard.dataset.charts import CLICKED_AT, dataset_charts
from dashboard.dataset.facts import dataset_facts, filter_chips
from dashboard.dataset.indexed_set import IndexedSet
from dashboard.dataset.query import (
    PARTS,
    check_filter_link,
    filter_from_query,
    filter_to_query,
)
from dashboard.dataset.review_panel import review_panel
from dashboard.dataset.study import dataset_study
from dashboard.dataset.table import dataset_table
from dashboard.session import link, state
from dashboard.studies.data_sets import DataSetChoice
from dashboard.widgets.scrolling import keep_in_view


def dataset_explorer(choice: DataSetChoice, data: IndexedSet) -> None:
    """Draw the explorer.

    Raises:
        LinkError: The URL names a study that the data set does not have, or a wrong filter.
    """
    if link.came_back():
        state.filter_studies(choice.key, filter_from_query(state.query(PARTS)))
        state.open_dataset_study(choice.key, link.linked(state.STUDY_KEY))
    elif state.is_first_data_set():
        check_filter_link()
        link.check_one_of(state.STUDY_KEY, set(data.table.studies["study_id"]), choice.title)
    _explorer(choice, data)


@st.fragment
def _explorer(choice: DataSetChoice, data: IndexedSet) -> None:
    """Draw the explorer; a click redraws only the explorer."""
    wanted, serial = _filter_of(choice.key)
    state.show_query(PARTS, filter_to_query(wanted))
    passes = select(data.table, wanted)
    everything = summarise_studies(data.table, np.ones(len(data.table), np.bool_), data.edges)
    shown = summarise_studies(data.table, passes, data.edges)
    dataset_facts(shown, everything, data)
    filter_chips(choice.key, wanted)
    study = state.dataset_study(choice.key)
    dataset_charts(data, choice.key, wanted, serial, everything)
    review_panel(data)
    with st.container(key="dataset_list"):
        st.html('<h2 class="lab-plain">The studies</h2>')
        dataset_table(data, choice.key, wanted, passes, serial)
    if study is None:
        link.show(state.STUDY_KEY, None)
    else:
        dataset_study(choice, data, study)
    if state.recall(CLICKED_AT) == serial:
        keep_in_view(".st-key-dataset_list", str(serial), "nearest", rest=2)


def _filter_of(data_set: str) -> tuple[StudyFilter, int]:
    known = state.studies_filter(data_set)
    if known is None:
        # A filter in the URL belongs to the first data set only.
        words = state.query(PARTS) if state.is_first_data_set() else {}
        state.filter_studies(data_set, filter_from_query(words))
        known = state.studies_filter(data_set)
    return known or (StudyFilter(), 0)
