"""The report of one study from the command line."""

import pytest

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
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
