"""Download of the report on a study."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.inference.study_scores import StudyScores
from core.models.pairs import BundlePair
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.raw_boxes import find_raw
from dashboard.widgets.study_picker import StudyChoice

_FORMATS = {"HTML": (".html", "text/html"), "PDF": (".pdf", "application/pdf")}


def report_download(
    study: OpenStudy, scores: StudyScores, pair: BundlePair, choice: StudyChoice
) -> None:
    """Offer the report as HTML and PDF; it is written on request."""
    st.caption(
        "One file with the calls at the operating points, probabilities, pictures, heat "
        "maps and the versions of the networks."
    )
    with st.container(horizontal=True):
        for name, (suffix, mime) in _FORMATS.items():
            st.download_button(
                f"Report as {name}",
                data=_writer(study, scores, pair, choice, suffix),
                file_name=f"cspine_report_{study.fingerprint[:8]}{suffix}",
                mime=mime,
                key=f"report_{name}",
                icon=":material/description:",
                on_click="ignore",
            )


def _writer(
    study: OpenStudy, scores: StudyScores, pair: BundlePair, choice: StudyChoice, suffix: str
) -> Callable[[], bytes]:
    def write() -> bytes:
        # Here because the heat maps import torch, and a report may never be requested.
        from core.report.study import build_report
        from core.report.write import rendered

        report = build_report(
            study.volume,
            scores.predictions,
            pair,
            raw=find_raw(study, pair.fracture),
            truth=choice.truth,
            synthetic=choice.synthetic,
        )
        return rendered(report, suffix)

    return write
