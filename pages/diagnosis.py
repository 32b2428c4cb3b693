"""Diagnosis: does this patient have a fracture, in which vertebra and on which slices?"""

from __future__ import annotations

import streamlit as st

from dashboard.diagnosis.batch_panel import batch_panel, many_studies_chosen
from dashboard.diagnosis.study_steps import study_steps
from dashboard.diagnosis.study_view import workbench
from dashboard.widgets.bundle_picker import bundle_picker
from dashboard.widgets.frame import page_header
from dashboard.widgets.prediction_status import study_with_scores
from dashboard.widgets.study_picker import study_picker

page_header(
    "Diagnosis",
    "Does this patient have a cervical fracture – in which vertebra, and on which slices?",
)
if many_studies_chosen():
    batch_panel(bundle_picker())
    st.stop()
choice = study_picker()
pair = bundle_picker()
study_steps(choice, pair)
opened = study_with_scores(choice, pair)
if choice is not None and opened is not None:
    with st.container():
        workbench(*opened, pair, choice)
