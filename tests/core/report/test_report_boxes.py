"""A report of a verdict that rests on boxes shows the boxes, not a heat map."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from core.config import PROJECT_ROOT
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.experiments.shipped_localizer import NAME
from core.inference import verdict
from core.inference.boxes.study_scores import load_predictor
from core.models.bundles import read_bundle
from core.models.pairs import BundlePair
from core.report.study import build_report
from core.report.wording import bundle_line
from core.types import RawDetections

SHIPPED = PROJECT_ROOT / "checkpoints"
BOX = (20.0, 24.0, 44.0, 44.0)


@pytest.fixture(scope="module")
def volume(phantom_root):
    return read_series(read_studies(phantom_root)[0].folder)


@pytest.fixture(scope="module")
def pair():
    low = {"threshold": 0.0, "rule": "given"}
    localizer = replace(
        read_bundle(SHIPPED / NAME),
        operating_points={"patient": low, "vertebra": low, "box": {"threshold": 0.5, "rule": "x"}},
    )
    return BundlePair(read_bundle(SHIPPED / "vertebra_type1"), localizer)


def boxes(volume, score) -> RawDetections:
    """The same box on three slices in the middle, seen by both passes."""
    slices = np.repeat(volume.n_slices // 2 + np.arange(3), 2)
    return RawDetections(
        study_id=volume.study_uid, slice_index=slices, xyxy=np.tile(BOX, (6, 1)),
        scores=np.full(6, score), source=np.tile([0, 1], 3), n_sources=2, z_mm=volume.z_mm,
        models=(NAME,),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("score", "said"), [(0.9, "boxes from"), (0.2, "no box reaches")])
def test_the_slices_of_the_calls_carry_their_boxes(volume, pair, score, said, monkeypatch):
    # A scan of a few slices is no spine, so that no call would be made.
    monkeypatch.setattr(verdict, "gives_a_call", lambda _: True)
    reader = load_predictor(pair, device="cpu")
    raw = boxes(volume, score)
    reading = reader.predict_with_boxes(volume, raw=raw)
    report = build_report(volume, reading.predictions, pair, raw=raw)
    shown = report.pictures[2:]
    peaks = {row.peak for row in report.vertebrae}
    assert shown
    assert all("Grad-CAM" not in picture.caption for picture in report.pictures)
    middle = [p for p in shown if f"slice {volume.n_slices // 2}" in p.caption]
    assert peaks & set(np.unique(raw.slice_index).tolist())
    for picture in middle:
        assert said in picture.caption
    amber = [_amber(picture.png) for picture in shown]
    assert any(amber) == (score > 0.5)


def _amber(png: bytes) -> bool:
    """Whether a picture has the colour of boxes."""
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return bool((np.abs(pixels.astype(int) - (15, 130, 217)).max(axis=2) < 3).sum() > 20)


def test_the_line_of_a_localiser_says_that_boxes_are_evidence(pair):
    assert "Fracture localisation by boxes" in bundle_line(pair.fracture)
    assert "Type 1" in bundle_line(pair.vertebra)
