"""Evaluation: which model is better, at which threshold, and where is it wrong?"""

from __future__ import annotations

import streamlit as st

from dashboard.evaluation import curve_charts
from dashboard.evaluation.calibration_section import more_section
from dashboard.evaluation.deferred import compute_deferred
from dashboard.evaluation.downloads import downloads
from dashboard.evaluation.ensemble_section import ensemble_section
from dashboard.evaluation.headline import headline
from dashboard.evaluation.kept_settings import kept_settings
from dashboard.evaluation.live_overlays import Slots
from dashboard.evaluation.page import choices, empty_state, folded, notices, section
from dashboard.evaluation.save_section import save_section
from dashboard.evaluation.sources import find_sources
from dashboard.evaluation.threshold_panel import active_model, rule_bar, threshold_panel
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
slots = Slots()
with st.container(key="ev_stage"):
    rule_bar(comparison)
    board = curve_charts.curve_section(comparison, slots)
curve_charts.confusion_section(slots)
kept_settings(comparison)
models = st.container(key="ev_headline")
curve_charts.vertebra_section(comparison, slots)
trust = folded("Can the scores be trusted?", "trust")
if trust.open:
    with trust:
        curve_charts.score_section(comparison, slots)
        curve_charts.trust_section(comparison, slots)
        more_section(comparison)
with board:
    active_model(comparison)
    threshold_panel(comparison, slots)
with models:
    section("Which model is better?")
    headline(comparison)
slots.draw_the_rest()
ensemble_section(comparison)
where_wrong(comparison)
section("Save and share")
save_section(comparison)
downloads(comparison)
compute_deferred()
