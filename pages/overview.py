"""Overview: what the program is, what it holds at the moment and where to go next."""

from __future__ import annotations

import streamlit as st

from dashboard.overview.cards import (
    bundles_card,
    data_set_card,
    hero,
    method_card,
    project_results_card,
)
from dashboard.overview.doors import doors
from dashboard.overview.installation import installation_card

hero()
doors()
method_card()
with st.container(key="start"):
    data_set, installation = st.columns([3, 2])
    with data_set:
        data_set_card()
    with installation:
        installation_card()
bundles_card()
project_results_card()
