"""Links: a wrong value of any parameter opens nothing and is named; a right one restores all."""

from __future__ import annotations

import json
import shutil

import pytest

from core.config import PROJECT_ROOT
from core.dataset.index import build_index
from core.dataset.study_table import StudyFilter
from core.experiments.shipped_localizer import NAME
from core.system.parallel import Workers
from dashboard.spine_3d import scene as spine_scene
from dashboard.spine_3d.viewer.component import SceneEvents
from tests.dashboard.workplace import FRACTURED, SOUND
from tests.pages.driver import (
    expect_refused,
    html,
    open_page,
    release,
    slider,
    viewers,
    wait_for,
    wait_for_verdict,
)

SHIPPED = PROJECT_ROOT / "checkpoints" / NAME
EVERY_PAGE = {"tour": ["99"], "present": ["yes"], "data": ["nowhere"]}
STUDY = {
    "study": ["1.2.unknown", FRACTURED[:-3], ""], "slice": ["-1", "99999999", "x", "٣", "1.5"],
    "vertebra": ["C8", "c2"],
}  # fmt: skip
NETWORKS = {
    "vertebra_network": ["none"], "fracture_network": ["none"], "patient_threshold": ["2", "nan"],
    "vertebra_threshold": ["-0.1", "half"], "boxes_by": ["none"],
}  # fmt: skip
WRONG = {
    "overview": EVERY_PAGE | {"tour": ["0", "9", "one", "-1", "1.5", "²"], "data": ["../../etc"]},
    "dataset": EVERY_PAGE | {
        "study": ["1.2.unknown", SOUND[:-1]], "fractured": ["maybe"], "vertebrae": ["C9", "C2,C9"],
        "n_fractured": ["8", "x"], "flags": ["odd", "gap,odd"], "n_boxes": ["5"],
        "box_mm": ["9..1"], "n_slices": ["a..b"], "spacing_mm": ["..", "nan..1"],
    },
    "preprocessing": EVERY_PAGE | STUDY,
    "diagnosis": EVERY_PAGE | STUDY | NETWORKS | {"truth": ["0", "yes"], "view": ["few"]},
    "localization": EVERY_PAGE | STUDY | {
        "localiser": ["none"], "fusion": ["best"], "score_rule": ["median"], "min_score": ["1.5"],
        "iou": ["0", "x"], "skip": ["1"], "neighbours": ["-1"],
    },
    "spine_3d": EVERY_PAGE | STUDY | NETWORKS,
    "reader_study": EVERY_PAGE | {"code": ["AAAAAA", "../x", "abcdef"], "reader": ["", "x" * 22]},
    "training": EVERY_PAGE | {"run": ["20200101-none"], "sweep": ["20200101-none"]},
}  # fmt: skip
CASES = [
    (page, name, value)
    for page, names in WRONG.items()
    for name, values in names.items()
    for value in values
]


def test_every_parameter_is_tried():
    assert set(StudyFilter.__slots__) - {"text"} <= set(WRONG["dataset"])


@pytest.mark.slow
@pytest.mark.parametrize(("page", "name", "value"), CASES)
def test_a_wrong_value_is_named_and_nothing_opens(
    at_work, monkeypatch, tmp_path, page, name, value
):
    if page == "localization":
        shutil.copytree(SHIPPED, tmp_path / NAME)
        monkeypatch.setenv("CHECKPOINTS", str(tmp_path))
    if page == "dataset":
        root = (at_work.var / "demo").absolute()
        build_index(root, (at_work.var / "cache").absolute(), workers=Workers(jobs=1))
    app = open_page(page, **{name: value})
    expect_refused(app, name, value)


def test_the_page_opens_without_the_wrong_value(at_work):
    app = open_page("diagnosis", study=SOUND, slice="99999999")
    app.button(key="link_without").click().run()
    assert not app.error
    assert app.selectbox(key="study").value == SOUND


@pytest.fixture
def two_fracture_networks(at_work, monkeypatch, tmp_path):
    """A second fracture network whose thresholds this installation has set."""
    shutil.copytree(at_work.checkpoints, tmp_path / "checkpoints")
    other = tmp_path / "checkpoints" / "fracture-other"
    shutil.copytree(tmp_path / "checkpoints" / "fracture-made", other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"name": "fracture-other"}))
    point = {"threshold": 0.7, "rule": "Youden", "saved": "2026-05-04T10:00:00Z", "by": "chief"}
    (other / "operating_points.json").write_text(json.dumps({"vertebra": point}))
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "checkpoints"))


@pytest.mark.slow
def test_a_link_shows_the_same_scene(two_fracture_networks, monkeypatch):
    shown = []

    def drawn(scene, info, **options):
        shown.append((scene, info, options["threshold"]))
        return SceneEvents(drawn=True, failed=None, chosen=None)

    monkeypatch.setattr(spine_scene, "scene_3d", drawn)

    def figures(app):
        wait_for(app, lambda: "Vertebrae in figures" in html(app) and "Calls: p" in captions(app))
        assert not app.error
        table = next(part for part in html(app).split("\n") if "lab-vertebrae" in part)
        return table, captions(app), shown[-1]

    app = open_page("spine_3d", study=SOUND, vertebra="C4")
    figures(app)
    app.selectbox(key="fracture_bundle").set_value("fracture-other").run()
    assert "operating point 0.700, Youden, set by chief on 2026-05-04" in figures(app)[1]
    link = dict(app.query_params) | {"vertebra_threshold": "0.123"}
    assert link.keys() <= WRONG["spine_3d"].keys()
    again = open_page("spine_3d", **link)
    table, words, (scene, info, threshold) = figures(again)
    assert again.selectbox(key="study").value == SOUND
    assert again.selectbox(key="fracture_bundle").value == "fracture-other"
    assert dict(again.query_params) == link
    assert link["vertebra"] == "C4"
    assert threshold == 0.123
    assert "p ≥ 0.123 (moved by hand; operating point 0.700" in words
    third = open_page("spine_3d", **dict(again.query_params))
    assert figures(third) == (table, words, (scene, info, threshold))


@pytest.mark.slow
def test_a_link_shows_the_same_boxes(at_work, monkeypatch, tmp_path):
    shutil.copytree(SHIPPED, tmp_path / NAME)
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path))

    def shown_boxes(app):
        wait_for(app, lambda: len(viewers(app)) == 2)
        told = viewers(app)
        titles = [text.value for text in app.markdown if "fusion · " in text.value]
        return titles, [(one["overlays"], one["goTo"]["slice"]) for one in told]

    app = open_page("localization", study=SOUND)
    start = shown_boxes(app)
    app.button_group(key="loc_method").set_value("nms").run()
    release(app, "loc_score", 0.031)
    for key, value in (("loc_iou", 0.2), ("loc_skip", 0.04)):
        app.slider(key=key).set_value(value).run()
    shown = shown_boxes(app)
    assert shown != start
    link = dict(app.query_params)
    assert link.keys() <= WRONG["localization"].keys()
    again = open_page("localization", **link)
    assert shown_boxes(again) == shown
    assert dict(again.query_params) == link


def captions(app):
    return " ".join(caption.value for caption in app.caption)


@pytest.mark.slow
def test_a_link_shows_the_same_verdict(at_work):
    app = wait_for_verdict(open_page("diagnosis", study=FRACTURED))
    release(app, "patient_threshold", 0.9)
    release(app, "vertebra_threshold", 0.123)
    app.toggle(key="show_truth").set_value(True).run()
    link = dict(app.query_params)
    assert link.keys() >= {"study", "slice", "vertebra_network", "fracture_network", "truth"}
    assert link.keys() <= WRONG["diagnosis"].keys()
    again = wait_for_verdict(open_page("diagnosis", **link))
    verdict = [part for part in html(app).split("\n") if "lab-verdict" in part]
    assert verdict == [part for part in html(again).split("\n") if "lab-verdict" in part]
    assert slider(again, "vertebra_threshold")["values"] == [0.123]
    assert again.toggle(key="show_truth").value is True
    assert dict(again.query_params) == link
