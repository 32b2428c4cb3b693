"""Diagnosis: does this patient have a fracture, in which vertebra and on which slices?"""

from __future__ import annotations

import streamlit as st

from dashboard.diagnosis.batch_panel import batch_panel, many_studies_chosen
from dashboard.diagnosis.errors_list import errors_button, errors_message
from dashboard.diagnosis.study_view import workbench
from dashboard.widgets.frame import page_header
from dashboard.widgets.prediction_status import study_with_scores
from dashboard.widgets.study_bar import networks_bar, study_bar

with page_header(
    "Diagnosis",
    "Does this patient have a cervical fracture – in which vertebra, and on which slices?",
):
    many = many_studies_chosen()
if many:
    batch_panel(networks_bar())
    st.stop()
bar = study_bar(networks=True)
with bar.more:
    errors_button(bar.choice, bar.pair)
errors_message()
opened = study_with_scores(bar.choice, bar.pair)
if bar.choice is not None and opened is not None:
    with st.container():
        workbench(*opened, bar.pair, bar.choice)
