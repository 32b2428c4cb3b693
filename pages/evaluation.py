"""Evaluation: which model is better, at which threshold, and where does it err?"""

from __future__ import annotations

import streamlit as st

from dashboard.background.keyed_results import compute_the_rest
from dashboard.components.evaluation_curves import (
    curve_section,
    score_section,
    trust_section,
    vertebra_section,
)
from dashboard.components.evaluation_downloads import downloads
from dashboard.components.evaluation_gallery import error_gallery
from dashboard.components.evaluation_headline import headline
from dashboard.components.evaluation_more import more_section
from dashboard.components.evaluation_page import choices, empty_state, notices, section
from dashboard.components.evaluation_save import save_section
from dashboard.components.evaluation_slots import Slots
from dashboard.components.evaluation_thresholds import rule_bar, threshold_panel
from dashboard.evaluation_sources import find_sources
from dashboard.studies.cohort import settings
from dashboard.widgets.frame import page_header

page_header("Evaluation", "Which model is better, at which threshold, and where does it err?")
sources = find_sources(settings())
if not sources.evaluable():
    empty_state(sources)
    st.stop()
comparison = choices(sources)
if comparison is None:
    st.stop()
notices(comparison)
section("Which model is better?")
headline(comparison)
section("At which threshold?")
rule_bar(comparison)
bar, slots = st.container(key="ev_bar"), Slots()
curve_section(comparison, slots)
section("Which vertebra?")
vertebra_section(comparison, slots)
section("Can the scores be trusted?")
score_section(comparison, slots)
trust_section(comparison, slots)
more_section(comparison)
with bar:
    threshold_panel(comparison, slots)
slots.draw_the_rest()
section("Where does it err?")
error_gallery(comparison)
section("Keep and share")
save_section(comparison)
downloads(comparison)
compute_the_rest()
