"""Download of the report on a study."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from core.inference.study_scores import StudyScores
from core.models.pairs import BundlePair
from dashboard.diagnosis.send_back import send_back
from dashboard.studies.masks import mask_of
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.raw_boxes import find_raw
from dashboard.widgets.study_picker import StudyChoice

if TYPE_CHECKING:
    from pydicom import Dataset

    from core.report.study import StudyReport

_FORMATS = {"HTML": (".html", "text/html"), "PDF": (".pdf", "application/pdf")}


def report_download(
    study: OpenStudy, scores: StudyScores, pair: BundlePair, choice: StudyChoice
) -> None:
    """Offer the report as HTML, PDF and DICOM objects; it is written on request."""
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
        st.download_button(
            "DICOM objects (zip)",
            data=_dicom_writer(study, scores, pair, choice),
            file_name=f"cspine_dicom_{study.fingerprint[:8]}.zip",
            mime="application/zip",
            key="report_dicom",
            icon=":material/folder_zip:",
            on_click="ignore",
            help="Boxes and scores as a structured report, the report as encapsulated PDF, key "
            "slices as secondary captures and, where the study has a mask, its vertebrae as a "
            "segmentation.",
        )
    send_back(study, _object_files(study, scores, pair, choice))


def _writer(
    study: OpenStudy, scores: StudyScores, pair: BundlePair, choice: StudyChoice, suffix: str
) -> Callable[[], bytes]:
    def write() -> bytes:
        from core.report.write import rendered

        return rendered(_report(study, scores, pair, choice), suffix)

    return write


def _dicom_writer(
    study: OpenStudy, scores: StudyScores, pair: BundlePair, choice: StudyChoice
) -> Callable[[], bytes]:
    def write() -> bytes:
        from core.report.objects.export import zipped

        return zipped(_objects(study, scores, pair, choice))

    return write


def _object_files(
    study: OpenStudy, scores: StudyScores, pair: BundlePair, choice: StudyChoice
) -> Callable[[], list[bytes]]:
    def make() -> list[bytes]:
        from core.report.objects.export import file_bytes

        return [file_bytes(made) for made in _objects(study, scores, pair, choice).values()]

    return make


def _objects(
    study: OpenStudy, scores: StudyScores, pair: BundlePair, choice: StudyChoice
) -> dict[str, Dataset]:
    from core.report.objects.export import Vertebrae, made_objects
    from core.report.objects.findings import gather_findings
    from core.report.objects.source import read_source

    source = read_source(choice.folder, study.volume, synthetic=choice.synthetic)
    raw = find_raw(study, pair.fracture)
    report = _report(study, scores, pair, choice)
    findings = gather_findings(report, scores.predictions, pair, raw)
    mask = None if choice.record is None else choice.record.mask_file
    vertebrae = None if mask is None else Vertebrae(mask_of(mask, study))
    return made_objects(source, findings, vertebrae)


def _report(
    study: OpenStudy, scores: StudyScores, pair: BundlePair, choice: StudyChoice
) -> StudyReport:
    # Here because the heat maps import torch, and a report may never be requested.
    from core.report.study import build_report

    return build_report(
        study.volume,
        scores.predictions,
        pair,
        raw=find_raw(study, pair.fracture),
        truth=choice.truth,
        synthetic=choice.synthetic,
    )
