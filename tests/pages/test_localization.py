"""The Localization page over the shipped localiser's own held-out boxes."""

from __future__ import annotations

import json
import shutil

import pytest

from core.config import PROJECT_ROOT
from core.experiments.shipped_localizer import NAME
from tests.pages.driver import html, open_page, release, viewers, wait_for

SHIPPED = PROJECT_ROOT / "checkpoints" / NAME


@pytest.fixture
def with_localizer(at_work, monkeypatch, tmp_path):
    shutil.copytree(SHIPPED, tmp_path / NAME)
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path))


def tile(app, label):
    return next(float(one.value) for one in app.metric if one.label.startswith(label))


@pytest.mark.slow
def test_sliders_move_the_study_and_the_held_out_figures(with_localizer):
    app = open_page("localization")
    assert not app.exception
    wait_for(app, lambda: len(viewers(app)) == 2)
    assert "After fusion" in html(app)
    metrics = json.loads((SHIPPED / "metrics.json").read_text())
    headline, overlap = metrics["headline"]["value"], "Overlap from the minimum score"
    # The figure that Overview shows, whatever counts here.
    assert tile(app, "Mean IoU") == pytest.approx(headline, abs=5e-4)
    before = tile(app, overlap)
    assert 0 < before < headline
    release(app, "loc_score", 0.0)
    assert tile(app, overlap) == tile(app, "Mean IoU") == pytest.approx(headline, abs=5e-4)
    release(app, "loc_score", 1.0)
    assert tile(app, overlap) < before
    assert tile(app, "Mean IoU") == pytest.approx(headline, abs=5e-4)
    assert not app.exception
    # The study is noise.
    assert any("finds no box on this study" in caption.value for caption in app.caption)
    assert len(app.get("plotly_chart")) == 4


@pytest.mark.slow
def test_a_class_sees_no_box_until_they_are_revealed(with_localizer):
    app = open_page("localization", present="1")
    wait_for(app, lambda: viewers(app))
    (alone,) = viewers(app)
    assert alone["overlays"] == []
    assert "After fusion" not in html(app)
    app.toggle(key="show_truth").set_value(True).run()
    assert len(viewers(app)) == 2
    assert "After fusion" in html(app)


def test_without_a_localiser_the_page_says_how_to_make_one(at_work):
    app = open_page("localization")
    assert not app.exception
    assert "demo-localizer" in html(app)
