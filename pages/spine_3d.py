"""3D spine: where in the neck is the fracture, and how does it lie?"""

from __future__ import annotations

import streamlit as st

from dashboard.spine_3d.scene import spine_scene
from dashboard.widgets.bundle_picker import bundle_picker
from dashboard.widgets.frame import page_header
from dashboard.widgets.prediction_status import reading_or_progress
from dashboard.widgets.series_facts import domain_warning, series_facts
from dashboard.widgets.study_picker import open_choice, study_picker

page_header("3D spine", "Where in the neck is the fracture, and how does it lie?")
choice = study_picker()
pair = bundle_picker()
notices, scene = st.container(key="notices"), st.container()
with notices:
    study = open_choice(choice)
if choice is not None and study is not None:
    with notices:
        series_facts(study, choice)
        domain_warning(choice, pair)
        reading = reading_or_progress(study, pair)
    with scene:
        spine_scene(study, reading, pair, choice)
