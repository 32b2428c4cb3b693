"""3D spine: where in the cervical spine is the fracture, and what is its orientation?"""

from __future__ import annotations

import streamlit as st

from dashboard.spine_3d.scene import spine_scene
from dashboard.widgets.frame import page_header
from dashboard.widgets.prediction_status import study_with_scores
from dashboard.widgets.study_bar import study_bar

page_header("3D spine", "Where in the cervical spine is the fracture, and what is its orientation?")
bar = study_bar(networks=True)
opened = study_with_scores(bar.choice, bar.pair)
if bar.choice is not None and opened is not None:
    with st.container():
        spine_scene(*opened, bar.pair, bar.choice)
