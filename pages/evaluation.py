"""Evaluation: which model is better, at which threshold, and where is it wrong?"""

from __future__ import annotations

import streamlit as st

from dashboard.evaluation.calibration_section import more_section
from dashboard.evaluation.curve_charts import (
    confusion_section,
    curve_section,
    score_section,
    trust_section,
    vertebra_section,
)
from dashboard.evaluation.deferred import compute_deferred
from dashboard.evaluation.downloads import downloads
from dashboard.evaluation.headline import headline
from dashboard.evaluation.kept_settings import kept_settings
from dashboard.evaluation.live_overlays import Slots
from dashboard.evaluation.page import choices, empty_state, notices, section
from dashboard.evaluation.save_section import save_section
from dashboard.evaluation.sources import find_sources
from dashboard.evaluation.threshold_panel import rule_bar, threshold_panel
from dashboard.evaluation.where_wrong import where_wrong
from dashboard.session.settings import settings
from dashboard.widgets.frame import page_header

page_header("Evaluation", "Which model is better, at which threshold, and where is it wrong?")
sources = find_sources(settings())
if not sources.evaluable():
    empty_state(sources)
    st.stop()
comparison = choices(sources)
if comparison is None:
    st.stop()
notices(comparison)
with st.container(key="ev_headline"):
    section("Which model is better?")
    headline(comparison)
slots = Slots()
with st.container(key="ev_stage"):
    section("At which threshold?")
    rule_bar(comparison)
    bar = st.container(key="ev_bar")
    curve_section(comparison, slots)
confusion_section(slots)
kept_settings(comparison)
vertebra_section(comparison, slots)
score_section(comparison, slots)
trust_section(comparison, slots)
more_section(comparison)
with bar:
    threshold_panel(comparison, slots)
slots.draw_the_rest()
where_wrong(comparison)
section("Save and share")
save_section(comparison)
downloads(comparison)
compute_deferred()
