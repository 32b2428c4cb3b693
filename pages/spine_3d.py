"""3D spine: where in the cervical spine is the fracture, and what is its orientation?"""

from __future__ import annotations

import streamlit as st

from dashboard.spine_3d.scene import spine_scene
from dashboard.widgets.bundle_picker import bundle_picker
from dashboard.widgets.frame import page_header
from dashboard.widgets.prediction_status import study_with_scores
from dashboard.widgets.study_picker import study_picker

page_header("3D spine", "Where in the cervical spine is the fracture, and what is its orientation?")
choice = study_picker()
pair = bundle_picker()
opened = study_with_scores(choice, pair)
if choice is not None and opened is not None:
    with st.container():
        spine_scene(*opened, pair, choice)
