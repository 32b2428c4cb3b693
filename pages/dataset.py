"""Dataset: what is in the data, what is odd about it, and what do single studies look like?"""

from __future__ import annotations

import streamlit as st

from dashboard.dataset.explorer import dataset_explorer
from dashboard.dataset.phantom_panel import phantom_panel
from dashboard.dataset.source import data_set_picker, index_or_progress
from dashboard.session import state
from dashboard.widgets.frame import page_header

page_header(
    "Dataset", "What is in the data, what is odd about it, and what does one study look like?"
)
message = state.told()
if message:
    st.success(message, icon=":material/check:")
choice = data_set_picker()
phantom_panel()
data = index_or_progress(choice)
if choice is not None and data is not None:
    dataset_explorer(choice, data)
