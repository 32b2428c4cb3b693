"""Overview: what the program is, what it holds at the moment and where to go next."""

from __future__ import annotations

import streamlit as st

from dashboard.overview.cards import (
    bundles_card,
    data_set_card,
    hero,
    method_card,
    next_steps,
    project_results_card,
)

hero()
method_card()
with st.container(key="start"):
    data_set, onward = st.columns([3, 2])
    with data_set:
        data_set_card()
    with onward:
        next_steps()
bundles_card()
project_results_card()
