"""Facts on a series in a part of a line, and the notes on reading it."""

from __future__ import annotations

from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.models.pairs import BundlePair
from dashboard.studies.bundle_figures import trained_on_synthetic
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.frame import synthetic_badge
from dashboard.widgets.study_picker import StudyChoice


def series_facts(study: OpenStudy, choice: StudyChoice) -> None:
    """Show size, spacing and extent, the notes on reading and the synthetic badge."""
    volume = study.volume
    _, rows, columns = volume.hu.shape
    z_mm, row_mm, column_mm = volume.spacing_mm
    facts = [
        f"{volume.n_slices} slices",
        f"{rows} × {columns} pixels",
        f"{row_mm:.2f} × {column_mm:.2f} mm in plane",
        f"{z_mm:.2f} mm between slices",
        f"z {volume.z_mm[0]:.0f} to {volume.z_mm[-1]:.0f} mm".replace("-", "−"),
    ]
    badge = synthetic_badge() if choice.synthetic else ""
    items = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    st.html(f'<ul class="lab-facts">{items}{badge}</ul>', width="content")
    if volume.notes:
        with st.popover(
            f"Notes ({len(volume.notes)})", key="series_notes", type="tertiary",
            help="Notes on reading this series",
        ):  # fmt: skip
            for note in volume.notes:
                st.text(note)


def facts_line() -> DeltaGenerator:
    """A line between the study's row and its picture, for the facts and the page's switches."""
    return st.container(key="facts", horizontal=True, vertical_alignment="center")


def domain_warning(choice: StudyChoice, pair: BundlePair | None) -> None:
    """Warn if networks trained on synthetic studies score a study that may be real."""
    if pair is None or choice.synthetic:
        return
    if any(trained_on_synthetic(bundle) for bundle in pair.bundles):
        st.warning(
            "These networks were trained on synthetic studies only. Their scores for a real scan "
            "show that the software works; they say nothing about the patient.",
            icon=":material/warning:",
        )
