"""Searching and fetching from the command line, and sending findings."""

import numpy as np
import pydicom
import pytest

from core.dicom.series import read_series
from tests.core.cli.outcome import assert_one_sentence
from tests.core.dicom.dicom_factory import made_hu, write_ct_series
from tests.orthanc import NAME, orthanc

__all__ = ["orthanc"]

STUDY = "1.2.826.0.11"


@pytest.fixture
def archive(orthanc, tmp_path, monkeypatch):
    for name, value in orthanc.environment.items():
        monkeypatch.setenv(name, value)
    for number, images in ((1, 2), (2, 5)):
        folder = tmp_path / f"series{number}"
        files = write_ct_series(
            folder, made_hu(images, seed=number), study_uid=STUDY, series_uid=f"{STUDY}.{number}"
        )
        for file in files:
            orthanc.put(file)
    return orthanc


def test_a_study_is_found_and_its_largest_series_fetched(run, archive, tmp_path):
    status, out, errors = run("fetch", NAME, "--search", "--patient", "MADE-*")
    assert status == 0, errors
    assert any(line.startswith(f"{STUDY}  ") for line in out.splitlines())
    status, out, _ = run("fetch", NAME, "--search", "--study", STUDY)
    assert [line.split()[0] for line in out.splitlines()] == [f"{STUDY}.2", f"{STUDY}.1"]
    status, out, errors = run("fetch", NAME, tmp_path / "largest", "--study", STUDY)
    assert status == 0, errors
    assert out.startswith("5 images")
    fetched = read_series(tmp_path / "largest", jobs=1)
    assert np.array_equal(fetched.hu, read_series(tmp_path / "series2", jobs=1).hu)
    status, out, _ = run(
        "fetch", NAME, tmp_path / "other", "--study", STUDY, "--series", f"{STUDY}.1"
    )
    assert out.startswith("2 images")


@pytest.mark.parametrize(
    "words",
    [
        (NAME,),
        (NAME, "--study", STUDY),
        (NAME, "OUT", "--search"),
        (NAME, "OUT", "--study", "1.2;3"),
        (NAME, "OUT", "--study", STUDY, "--series", "1.2.3"),
        ("http://127.0.0.1:1/dicom-web", "--search"),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_one_sentence(run, archive, tmp_path, words):
    before = sorted(tmp_path.iterdir())
    assert_one_sentence(run("fetch", *(tmp_path / "out" if w == "OUT" else w for w in words)))
    assert sorted(tmp_path.iterdir()) == before


def test_without_an_allow_list_there_is_no_server(run, tmp_path, monkeypatch):
    monkeypatch.delenv("DICOMWEB_SERVERS", raising=False)
    assert_one_sentence(run("fetch", NAME, tmp_path / "out", "--study", STUDY))
    assert_one_sentence(run("export-dicom", tmp_path, "--out", tmp_path / "x", "--send", NAME))
    assert not (tmp_path / "x").exists()


def test_findings_are_sent_as_they_are_written(run, orthanc, phantom_root, tmp_path, monkeypatch):
    for name, value in orthanc.environment.items():
        monkeypatch.setenv(name, value)
    study = min((phantom_root / "train_images").iterdir())
    status, out, errors = run(
        "export-dicom", study, "--out", tmp_path / "out", "--seg", "--send", NAME
    )
    assert status == 0, errors
    assert f"1 DICOM objects stored on {NAME}" in out
    written = pydicom.dcmread(tmp_path / "out" / "vertebrae_seg.dcm")
    ((modality, content),) = orthanc.objects(written.StudyInstanceUID)
    stored = pydicom.dcmread(pydicom.filebase.DicomBytesIO(content))
    assert modality == "SEG"
    assert stored.SOPInstanceUID == written.SOPInstanceUID
    assert stored.PixelData == written.PixelData
