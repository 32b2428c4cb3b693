"""Boxes of a localiser on Diagnosis: offered, and laid over the slices once they are there."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from core.config import PROJECT_ROOT
from core.constants import BOXES_TYPE
from core.inference.outputs import SLICES_FILE, read_slices
from core.models.bundles import read_bundle
from core.types import RawDetections
from dashboard.diagnosis.study_view import BOXES_EXPLAIN
from dashboard.studies import localizer
from dashboard.studies.open_study import open_study
from dashboard.studies.raw_boxes import find_raw, keep_raw, raw_file
from tests.dashboard.workplace import FRACTURED
from tests.pages.driver import html, open_page, viewer, wait_for_verdict

NAME = "localization_mobilenet_v3_large"


@pytest.fixture
def localiser(at_work, monkeypatch, tmp_path):
    """The shipped localiser alone, so that the page needs no other network."""
    shutil.copytree(
        PROJECT_ROOT / "checkpoints" / NAME, tmp_path / NAME,
        ignore=shutil.ignore_patterns("predictions"),
    )  # fmt: skip
    # A threshold of the test's own, between the made boxes and what they lend to their neighbours.
    points = tmp_path / NAME / "operating_points.json"
    points.write_text(json.dumps({"box": {"threshold": 0.75, "rule": "given"}}))
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    return read_bundle(tmp_path / NAME)


def say(bundle, at_work, slices, scores):
    """Store what the localiser is said to have found: one box of 20 px a slice, by both passes."""
    study = open_study(at_work.var / "demo" / "train_images" / FRACTURED)
    n = len(slices)
    raw = RawDetections(
        study_id=FRACTURED,
        slice_index=np.repeat(np.array(slices, np.int64), 2),
        xyxy=np.tile([10.0, 12.0, 30.0, 40.0], (2 * n, 1)),
        scores=np.repeat(np.array(scores, float), 2),
        source=np.tile([0, 1], n),
        n_sources=2,
        z_mm=study.volume.z_mm,
        models=(NAME,),
    )
    keep_raw(raw_file(study, bundle), raw)


def captions(app):
    return " ".join(caption.value for caption in app.caption)


def test_boxes_are_offered_then_drawn_with_their_scores(at_work, localiser):
    app = open_page("diagnosis", study=FRACTURED, slice="4")
    assert not app.exception
    assert any(button.label == "Predict boxes" for button in app.button)
    least = localizer.default_threshold(localiser)
    say(localiser, at_work, [4, 5, 9], [0.97, 0.95, least / 4])
    app.run()
    assert not app.exception
    assert not any(button.label == "Predict boxes" for button in app.button)
    (layer,) = [one for one in viewer(app)["overlays"] if one["name"] == "Predicted boxes"]
    assert layer["scores"] is True
    assert {box[0] for box in layer["boxes"]} == {4, 5}
    for box in layer["boxes"]:
        assert box[1:5] == pytest.approx([10, 12, 30, 40], abs=0.5)
        assert box[5] >= least
    assert f"with a score ≥ {least:.2f}" in captions(app)
    assert "on 2 slices between 4 and 5" in captions(app)


def test_a_localiser_without_boxes_is_reported(at_work, localiser):
    say(localiser, at_work, [], [])
    app = open_page("diagnosis", study=FRACTURED)
    assert not app.exception
    assert "predicts no box" in captions(app)
    assert all(one["name"] != "Predicted boxes" for one in viewer(app)["overlays"])


@pytest.fixture
def judge(localiser, tmp_path):
    """The localiser beside a vertebra network, so that its boxes judge."""
    shutil.copytree(
        PROJECT_ROOT / "checkpoints" / "vertebra_type1", tmp_path / "vertebra_type1",
        ignore=shutil.ignore_patterns("predictions"),
    )  # fmt: skip
    return localiser


@pytest.mark.slow
def test_the_verdict_uses_boxes_that_are_stored(at_work, judge, monkeypatch, tmp_path):
    from core.inference.boxes.predictor import BoxPredictor

    def never(*_, **__):
        raise AssertionError("the localiser ran again")

    monkeypatch.setattr(BoxPredictor, "predict", never)
    say(judge, at_work, [4, 5, 6], [0.97, 0.95, 0.96])
    app = open_page("diagnosis", study=FRACTURED, slice="4")
    assert app.selectbox(key="fracture_bundle").value == NAME
    wait_for_verdict(app)
    assert not app.exception
    assert BOXES_EXPLAIN in captions(app)
    assert not any("Grad-CAM" in pills.label for pills in app.get("button_group"))
    assert "lab-verdict" in html(app)
    (written,) = (tmp_path / "cache" / "predictions").glob("*/slices.parquet")
    (found,) = read_slices(written.parent / SLICES_FILE)
    assert found.fracture_type == BOXES_TYPE
    assert int(found.fracture_probs.max(axis=1).argmax()) in (4, 5, 6)


@pytest.mark.slow
def test_boxes_are_made_once_for_verdict_and_viewer(at_work, judge):
    app = open_page("diagnosis", study=FRACTURED, slice="4")
    assert not any(button.label == "Predict boxes" for button in app.button)
    wait_for_verdict(app)
    assert not app.exception
    study = open_study(at_work.var / "demo" / "train_images" / FRACTURED)
    assert find_raw(study, judge) is not None
    assert "The localiser predicts" in captions(app)
