"""Training: which model shall learn, is it learning, and did it help?"""

from __future__ import annotations

import streamlit as st

from dashboard.session import state
from dashboard.training.form import section_switch, training_form
from dashboard.training.run_compare import compare_section
from dashboard.training.run_table import runs_section
from dashboard.widgets.frame import page_header

SECTIONS = {"New run": training_form, "Runs": runs_section, "Compare": compare_section}

page_header("Training", "Which model shall learn, is it learning, and which choice helped?")
message = state.told()
if message:
    st.success(message, icon=":material/check:")
SECTIONS[section_switch(list(SECTIONS))]()
