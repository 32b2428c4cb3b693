"""The encapsulated report and the key slices."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile

import numpy as np
import pydicom
import pytest

from core.report.objects.documents import encapsulated_pdf, key_slices
from core.report.objects.export import Vertebrae, file_bytes, made_objects, zipped
from core.report.objects.source import read_source
from tests.core.report.objects.conftest import made_findings, made_labels

SYNTHETIC_TAG = re.compile(r"\(0x0008,0x001c\)|attributes not present in standard DICOM IOD")
"""SyntheticData is younger (2023) than the tool, and the consequence that the tool draws."""


def state_study(ds, k):
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20260101", "120000", "7"


@pytest.fixture
def objects(write_series):
    made = write_series("anisotropic", edit=state_study)
    source = read_source(made.folder, made.volume, synthetic=True)
    return made_objects(source, made_findings(made.volume), Vertebrae(made_labels(made.volume)))


@pytest.mark.parametrize("pdf", [b"%PDF-1.4 even", b"%PDF-1.4 odds!"])
def test_the_pdf_comes_back_byte_for_byte(write_series, pdf):
    made = write_series()
    source = read_source(made.folder, made.volume, synthetic=True)
    found = pydicom.dcmread(io.BytesIO(file_bytes(encapsulated_pdf(source, pdf))))
    assert found.EncapsulatedDocument[: found.EncapsulatedDocumentLength] == pdf
    assert found.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert found.BurnedInAnnotation == "NO"
    assert found.PatientID == "MADE-UP"
    assert "Synthetic, research only" in found.DocumentTitle


def test_key_slices_show_the_best_boxes_and_name_their_image(write_series):
    made = write_series("anisotropic")
    source = read_source(made.folder, made.volume, synthetic=True)
    first, second = key_slices(source, made_findings(made.volume))
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    for found, index, boxes in ((first, 3, 1), (second, 6, 1)):
        image = source.images[source.plane_of_slice(index)]
        assert found.SourceImageSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert found.DerivationDescription.endswith(f"predicted boxes drawn: {boxes}")
        pixels = pydicom.dcmread(io.BytesIO(file_bytes(found))).pixel_array
        drawn = pixels[(np.ptp(pixels.astype(int), axis=2) > 50)]
        assert len(drawn) > 100
        assert tuple(np.median(drawn, axis=0)) == (217, 130, 15)
        across = pixels.shape[1] * found.PixelSpacing[1]
        assert across == pytest.approx(made.volume.hu.shape[2] * 0.77, rel=0.01)


def test_without_boxes_the_peaks_are_shown(write_series):
    made = write_series()
    source = read_source(made.folder, made.volume)
    shown = key_slices(source, made_findings(made.volume, boxes=False))
    assert len(shown) >= 1
    assert "predicted boxes drawn: 0" in shown[0].DerivationDescription


def test_an_archive_holds_every_object(objects):
    with zipfile.ZipFile(io.BytesIO(zipped(objects))) as archive:
        assert archive.namelist() == [
            "vertebrae_seg.dcm", "findings_sr.dcm", "report_pdf.dcm", "key_slice_01.dcm",
            "key_slice_02.dcm",
        ]  # fmt: skip
        classes = {pydicom.dcmread(archive.open(name)).Modality for name in archive.namelist()}
    assert classes == {"SEG", "SR", "DOC", "OT"}


@pytest.mark.parametrize("tool", ["dciodvfy", "dcm2json", "dsrdump"])
def test_other_programs_read_the_objects_without_a_complaint(objects, tmp_path, tool):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed (Debian: dicom3tools, dcmtk)")
    for name, made in objects.items():
        if tool == "dsrdump" and not name.endswith("_sr.dcm"):
            continue
        path = tmp_path / name
        path.write_bytes(file_bytes(made))
        done = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)
        said = done.stderr if tool != "dciodvfy" else done.stderr + done.stdout
        complaints = [
            line
            for line in said.splitlines()
            if re.match(r"(Error|Warning|[EWF]:)|.*- (Error|Warning)", line)
            and not SYNTHETIC_TAG.search(line)
        ]
        assert complaints == [], name
        if tool != "dciodvfy":
            assert done.returncode == 0
