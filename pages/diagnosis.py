"""Diagnosis: does this neck have a fracture, in which vertebra and on which slices?"""

from __future__ import annotations

import streamlit as st

from dashboard.diagnosis.batch_panel import batch_panel, wants_many
from dashboard.diagnosis.study_steps import study_steps
from dashboard.diagnosis.study_view import workbench
from dashboard.widgets.bundle_picker import bundle_picker
from dashboard.widgets.frame import page_header
from dashboard.widgets.prediction_status import reading_or_progress
from dashboard.widgets.series_facts import domain_warning, series_facts
from dashboard.widgets.study_picker import open_choice, study_picker

page_header("Diagnosis", "Does this neck have a fracture – in which vertebra, and on which slices?")
if wants_many():
    batch_panel(bundle_picker())
    st.stop()
choice = study_picker()
pair = bundle_picker()
study_steps(choice, pair)
notices, bench = st.container(key="notices"), st.container()
with notices:
    study = open_choice(choice)
if choice is not None and study is not None:
    with notices:
        series_facts(study, choice)
        domain_warning(choice, pair)
        reading = reading_or_progress(study, pair)
    with bench:
        workbench(study, reading, pair, choice)
