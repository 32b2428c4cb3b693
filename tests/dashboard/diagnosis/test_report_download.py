"""What the download of DICOM objects holds."""

from __future__ import annotations

import functools
import io
import zipfile

import pydicom
import pytest

from core.errors import DicomSeriesError
from core.inference.study_scores import score_study
from core.models.pairs import BundlePair
from core.report import study as study_module
from core.types import StudyRecord
from dashboard.diagnosis.report_download import _dicom_writer
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.study_picker import StudyChoice
from tests.core.report.objects.conftest import bundle, made_predictions, write_series

__all__ = ["write_series"]


@pytest.fixture
def without_heat_maps(monkeypatch):
    build = functools.partial(study_module.build_report, explain=False)
    monkeypatch.setattr(study_module, "build_report", build)


def writer(made, **choice):
    pair = BundlePair(bundle("vertebra"), bundle("fracture", 2))
    return _dicom_writer(
        OpenStudy("ab" * 32, made.volume),
        score_study(made_predictions(made.volume)),
        pair,
        StudyChoice(made.folder, **choice),
    )


@pytest.mark.usefixtures("without_heat_maps")
def test_the_archive_holds_report_and_key_slice_of_the_study(write_series):
    made = write_series()
    record = StudyRecord(made.volume.study_uid, made.folder)
    with zipfile.ZipFile(io.BytesIO(writer(made, record=record, synthetic=True)())) as archive:
        names = archive.namelist()
        assert names[:2] == ["findings_sr.dcm", "report_pdf.dcm"]
        assert "key_slice_01.dcm" in names
        found = pydicom.dcmread(archive.open("findings_sr.dcm"))
    assert found.StudyInstanceUID == made.volume.study_uid
    assert found.SyntheticData == "YES"


def test_a_series_that_nothing_can_refer_to_is_refused_before_anything_is_made(write_series):
    def same(ds, k):
        ds.SOPInstanceUID = "1.2.3"

    made = write_series(edit=same)
    with pytest.raises(DicomSeriesError, match="SOPInstanceUID"):
        writer(made)()
