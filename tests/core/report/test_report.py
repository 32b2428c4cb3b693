from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from reportlab import rl_config

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING, VERTEBRAE
from core.errors import ConfigError
from core.inference import verdict
from core.inference.plausibility import LevelPlausibility
from core.inference.verdict import NO_CALL
from core.models.bundles import BundleConfig, BundleInfo
from core.models.pairs import BundlePair
from core.report.html import render_html
from core.report.pdf import render_pdf
from core.report.pictures import heat_picture, slice_picture
from core.report.study import build_report
from core.report.write import known_of, rendered
from core.types import CTVolume, SlicePredictions

N = 6
UID = "1.2.840.<b>7"


def bundle(task, type=1, points=None):
    return BundleInfo(
        folder=None,
        config=BundleConfig(
            name=f"{task}_made", task=task, type=type, backbone="googlenet", size=64, crop=1.0,
            window_center=400, window_width=1800, weights_sha256="ab" * 32, parameters=1,
            trained_on={}, created="2026-01-02T00:00:00Z",
        ),
        operating_points=points,
    )  # fmt: skip


@pytest.fixture
def volume():
    hu = np.random.default_rng(0).integers(-1000, 1500, (N, 20, 24)).astype(np.int16)
    return CTVolume(
        hu=hu, spacing_mm=(3.0, 0.5, 0.5), affine=np.eye(4), z_mm=np.arange(N)[::-1] * 3.0,
        instance_numbers=(0,) * N, source_files=(), study_uid=UID, series_uid="2",
        notes=("A note with − and ≥.",),
    )  # fmt: skip


def report_predictions(volume):
    presence, fracture = np.zeros((N, 7), np.float32), np.zeros((N, 7), np.float32)
    for j in range(6):
        presence[j, j] = 1.0
    fracture[4, 4] = 0.875
    fracture[1, 1] = 0.25
    return SlicePredictions(UID, volume.z_mm, presence, fracture, 2)


def report_pair():
    return BundlePair(
        bundle("vertebra"),
        bundle("fracture", 2, {"patient": {"threshold": 0.5, "rule": "highest F1"},
                               "vertebra": {"threshold": 0.25, "rule": "highest F1"},
                               "slice": {"threshold": 0.35, "rule": "Youden"}}),
    )  # fmt: skip


@pytest.fixture
def report(volume):
    truth = [name == "C5" for name in VERTEBRAE]
    return build_report(
        volume, report_predictions(volume), report_pair(), truth=truth, synthetic=True,
        explain=False,
    )  # fmt: skip


def test_the_figures_are_those_of_the_aggregation(report):
    rows = {row.name: row for row in report.vertebrae}
    assert rows["C5"].prob == 0.875
    assert rows["C5"].called is True
    assert rows["C5"].peak == 4
    assert rows["C2"].called is True  # equal to the threshold
    assert rows["C1"].called is False
    assert rows["C7"].called is None
    assert report.verdict.prob == pytest.approx(1 - 0.125 * 0.75)
    assert report.verdict.calls.patient
    assert report.patient_truth
    assert np.isnan(report.slice_probs[5]) == (report.slice_probs[5] != report.slice_probs[5])
    assert [row.name for row in report.vertebrae if row.differs] == ["C2"]


def test_every_called_vertebra_has_its_picture_from_c1_down(volume, monkeypatch):
    monkeypatch.setattr(verdict, "check_levels", lambda _: LevelPlausibility(()))
    presence, fracture = np.zeros((N, 7), np.float32), np.zeros((N, 7), np.float32)
    # C1, C3 and C6 alone on a slice, C4 and C5 together; the probabilities fall out of order.
    for j, index, prob in ((0, 1, 0.6), (2, 2, 0.9), (3, 3, 0.7), (4, 3, 0.8), (5, 4, 0.95)):
        presence[index, j], fracture[index, j] = 1.0, prob
    predictions = SlicePredictions(UID, volume.z_mm, presence, fracture, 2)
    pair = BundlePair(bundle("vertebra"), bundle("fracture", 2))
    report = build_report(volume, predictions, pair, explain=False)
    captions = [picture.caption.partition(":")[0] for picture in report.pictures[2:]]
    assert captions == ["C1, slice 1", "C3, slice 2", "C4 and C5, slice 3", "C6, slice 4"]


def test_html_is_one_file_that_says_everything(report):
    text = render_html(report)
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', text) == []
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert NOT_FOR_CLINICAL_USE in text
    assert SYNTHETIC_WARNING in text
    assert "1.2.840.&lt;b&gt;7" in text
    assert "<b>7" not in text
    assert "Fracture suspected: probability 0.906 ≥ threshold 0.500" in text
    assert "the call agrees" in text
    assert "<td>C5</td><td>4–4</td><td>0.875</td><td>0.250</td><td>fracture</td>" in text
    assert "<td>C7</td><td>–</td><td>–</td><td>0.250</td><td>not seen</td>" in text
    assert "fracture_made: Fracture detection, Type 2, googlenet, weights abababababab" in text
    assert text.count("data:image/png;base64,") == len(report.pictures)
    assert f"Report of {report.written:%Y-%m-%d}" in text
    assert "slice threshold 0.350" in text
    assert 'stroke-dasharray="5 4"' in text
    assert "M34 97.5 H760" in text  # 150 * (1 - 0.35)
    assert text.count("the call differs") == 1
    assert text.count('class="hot wrong"') == 1


def test_pdf_says_the_same_and_warns_on_each_page(report, monkeypatch):
    monkeypatch.setattr(rl_config, "pageCompression", 0)
    pdf = render_pdf(report)
    assert pdf.startswith(b"%PDF-")
    for text in (
        b"Fracture suspected",
        b"C7",
        b"not seen",
        b"0.875",
        b"fracture_made",
        b"the call differs",
        b"slice threshold 0.350",
        b"Report of 20",
    ):
        assert text in pdf
    pages = len(re.findall(rb"/Type /Page\b", pdf))
    footers = pdf.count(b"Not a medical device")
    assert pages >= 1
    assert footers >= pages
    assert pdf == render_pdf(report)


def test_a_scan_out_of_distribution_gets_no_call_in_either_form(volume, report, monkeypatch):
    monkeypatch.setattr(rl_config, "pageCompression", 0)
    predictions = replace(report_predictions(volume), distribution_score=2.5)
    refused = build_report(
        volume, predictions, report_pair(), truth=[True] * 7, synthetic=True, explain=False
    )
    text = render_html(refused)
    assert NO_CALL in text
    assert "suspected:" not in text
    assert "Truth:" not in text
    assert "the call" not in text.replace("the call is", "")
    assert 'class="no-call"' in text
    assert "<td>0.875</td><td>0.250</td><td>no call</td>" in text
    assert 'class="no-call"' not in render_html(report)
    pdf = render_pdf(refused)
    assert b"unlike what the networks learnt" in pdf
    assert b"no call" in pdf
    assert b"suspected:" not in pdf
    assert [row.called for row in refused.vertebrae] == [None] * 7


def test_pictures_keep_the_true_aspect(volume):
    picture = slice_picture(volume, 2, "x")
    decoded = cv2.imdecode(np.frombuffer(picture.png, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[:2] == picture.size[::-1]
    assert picture.size[0] / picture.size[1] == pytest.approx(24 / 20, rel=0.01)


def test_heat_colours_only_where_it_is(volume):
    heat = np.zeros((20, 24), np.float32)
    heat[:, 12:] = 1.0
    plain, hot = (
        cv2.imdecode(np.frombuffer(p.png, np.uint8), cv2.IMREAD_COLOR)
        for p in (slice_picture(volume, 2, ""), heat_picture(volume, 2, heat, ""))
    )
    assert np.array_equal(plain[:, :180], hot[:, :180])
    assert np.ptp(hot[:, 260:].astype(int), axis=2).max() > 50


def test_another_ending_is_refused(report):
    with pytest.raises(ConfigError, match=r"\.html or \.pdf"):
        rendered(report, ".docx")


def test_a_folder_outside_a_data_root_has_no_truth(tmp_path):
    assert known_of(tmp_path / "study") == (None, False)
    assert known_of(tmp_path / "train_images" / "study") == (None, False)
