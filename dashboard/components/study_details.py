"""Below the bench: the profile in numbers, the other models, the report."""

from __future__ import annotations

import streamlit as st

from core.models.pairs import BundlePair
from dashboard.diagnosis.report_download import report_download
from dashboard.diagnosis.second_opinions import opinions_panel
from dashboard.diagnosis.z_profile import z_profile_figure
from dashboard.session import state
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.scores import StudyReading
from dashboard.widgets.study_picker import StudyChoice


def study_details(
    study: OpenStudy, reading: StudyReading | None, pair: BundlePair | None, choice: StudyChoice
) -> None:
    """Show what goes beyond the verdict; nothing before the networks have run."""
    if reading is None or pair is None:
        return
    profile, others, report = st.tabs(
        ["Along the neck", "Do the model types agree?", "Report"], key="details"
    )
    with profile:
        st.caption(
            "Left: where C1 to C7 were found along the table axis. Right: the fracture probability "
            "of each slice; a peak inside one vertebra is more convincing than one between two."
        )
        st.plotly_chart(
            z_profile_figure(reading, state.current_slice()),
            key="z_profile",
            config={"displayModeBar": False},
            alt="Slice fracture probability along z, with the extents of C1 to C7",
        )
    with others:
        opinions_panel(study)
    with report:
        report_download(study, reading, pair, choice)
