"""Localization: where on the slice is the fracture, and how well do the boxes find it?"""

from __future__ import annotations

import streamlit as st

from dashboard.localization.controls import box_controls
from dashboard.localization.results import held_out_results
from dashboard.localization.study import study_boxes
from dashboard.widgets.frame import page_header
from dashboard.widgets.series_facts import series_facts
from dashboard.widgets.study_picker import open_choice, study_picker

page_header(
    "Localization", "Where on the slice is the fracture, and how well do the boxes find it?"
)
choice = study_picker()
chosen = box_controls()
if chosen is None:
    st.stop()
study = open_choice(choice)
if choice is not None and study is not None:
    series_facts(study, choice)
    study_boxes(study, choice, chosen)
held_out_results(chosen)
