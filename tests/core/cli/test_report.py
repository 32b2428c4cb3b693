"""The report of one study from the command line."""

import shutil

import numpy as np
import pydicom
import pytest

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.dataset.masks import load_vertebra_mask
from core.dicom.series import read_series
from core.inference.verdict import NO_CALL
from tests.core.cli.outcome import assert_one_sentence


@pytest.mark.slow
def test_a_study_becomes_html_and_pdf(run, phantom_root, tmp_path):
    study = min((phantom_root / "train_images").iterdir())
    status, out, errors = run("report", study, "--out", tmp_path / "a.html")
    assert status == 0, errors
    text = (tmp_path / "a.html").read_text()
    assert study.name in text
    assert NOT_FOR_CLINICAL_USE in text
    assert SYNTHETIC_WARNING in text
    # Untrained networks see levels at random: no call, and nothing to compare with the truth.
    assert NO_CALL in text
    assert "<td>unknown</td>" not in text
    assert "a.html" in out
    status, _, errors = run("report", study, "--out", tmp_path / "a.pdf")
    assert status == 0, errors
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("name", ["a.docx", "a"])
def test_another_ending_is_one_sentence(run, phantom_root, tmp_path, name):
    study = min((phantom_root / "train_images").iterdir())
    assert_one_sentence(run("report", study, "--out", tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_dicom_is_one_sentence(run, tmp_path):
    assert_one_sentence(run("report", tmp_path, "--out", tmp_path / "a.html"))


@pytest.mark.slow
def test_a_study_becomes_dicom_objects(run, phantom_root, tmp_path):
    study = min((phantom_root / "train_images").iterdir())
    status, out, errors = run("export-dicom", study, "--out", tmp_path / "all")
    assert status == 0, errors
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert {"findings_sr.dcm", "report_pdf.dcm", "vertebrae_seg.dcm"} < set(names)
    assert "key_slice_01.dcm" in names
    assert f"{len(names)} DICOM objects" in out
    volume = read_series(study)
    truth = load_vertebra_mask(phantom_root / "segmentations" / f"{study.name}.nii", volume)
    back = load_vertebra_mask(tmp_path / "all" / "vertebrae_seg.dcm", volume)
    assert np.array_equal(back, truth)
    assert pydicom.dcmread(tmp_path / "all" / "report_pdf.dcm").SyntheticData == "YES"


def test_a_segmentation_alone_needs_a_mask_and_no_network(run, phantom_root, tmp_path):
    study = min((phantom_root / "train_images").iterdir())
    status, _, errors = run("export-dicom", study, "--out", tmp_path / "seg", "--seg")
    assert status == 0, errors
    assert [path.name for path in (tmp_path / "seg").iterdir()] == ["vertebrae_seg.dcm"]
    lone = tmp_path / "lone"
    shutil.copytree(study, lone)
    assert_one_sentence(run("export-dicom", lone, "--out", tmp_path / "none", "--seg"))
    assert not (tmp_path / "none").exists()
    status, _, errors = run(
        "export-dicom", lone, "--out", tmp_path / "again", "--seg",
        "--mask", tmp_path / "seg" / "vertebrae_seg.dcm",
    )  # fmt: skip
    assert status == 0, errors
