"""Localization: where on the slice is the fracture, and how well do the boxes find it?"""

from __future__ import annotations

import streamlit as st

from dashboard.localization.controls import box_controls, score_slider
from dashboard.localization.results import held_out_results
from dashboard.localization.study import study_boxes
from dashboard.widgets.frame import page_header
from dashboard.widgets.series_facts import facts_line, series_facts
from dashboard.widgets.study_bar import study_bar
from dashboard.widgets.study_picker import open_choice

page_header(
    "Localization", "Where on the slice is the fracture, and how well do the boxes find it?"
)
bar = study_bar(networks=False, boxed=True)
with bar.more:
    chosen = box_controls()
if chosen is None:
    st.stop()
study = open_choice(bar.choice)
with facts_line():
    if bar.choice is not None and study is not None:
        series_facts(study, bar.choice)
    score_slider(chosen)
if bar.choice is not None and study is not None:
    study_boxes(study, bar.choice, chosen)
held_out_results(chosen)
