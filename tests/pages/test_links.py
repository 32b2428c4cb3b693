"""Links: a wrong value of any parameter opens nothing and is named; a right one restores all."""

from __future__ import annotations

import shutil

import pytest

from core.config import PROJECT_ROOT
from core.dataset.index import build_index
from core.dataset.study_table import StudyFilter
from core.experiments.shipped_localizer import NAME
from core.system.parallel import Workers
from tests.dashboard.workplace import FRACTURED, SOUND
from tests.pages.driver import expect_refused, html, open_page, wait_for_verdict

SHIPPED = PROJECT_ROOT / "checkpoints" / NAME
EVERY_PAGE = {"tour": ["99"], "present": ["yes"], "data": ["nowhere"]}
STUDY = {
    "study": ["1.2.unknown", FRACTURED[:-3], ""], "slice": ["-1", "99999999", "x", "٣", "1.5"],
    "vertebra": ["C8", "c2"],
}  # fmt: skip
NETWORKS = {
    "vertebra_network": ["none"], "fracture_network": ["none"], "patient_threshold": ["2", "nan"],
    "vertebra_threshold": ["-0.1", "half"],
}  # fmt: skip
WRONG = {
    "overview": EVERY_PAGE | {"tour": ["0", "8", "one", "-1", "1.5", "²"], "data": ["../../etc"]},
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
    "training": EVERY_PAGE | {"run": ["20200101-none"]},
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


@pytest.mark.slow
def test_a_link_shows_the_same_verdict(at_work):
    app = wait_for_verdict(open_page("diagnosis", study=FRACTURED))
    app.slider(key="patient_threshold").set_value(0.9).run()
    app.slider(key="vertebra_threshold").set_value(0.123).run()
    app.toggle(key="show_truth").set_value(True).run()
    link = dict(app.query_params)
    assert link.keys() >= {"study", "slice", "vertebra_network", "fracture_network", "truth"}
    again = wait_for_verdict(open_page("diagnosis", **link))
    verdict = [part for part in html(app).split("\n") if "lab-verdict" in part]
    assert verdict == [part for part in html(again).split("\n") if "lab-verdict" in part]
    assert again.slider(key="vertebra_threshold").value == 0.123
    assert again.toggle(key="show_truth").value is True
    assert dict(again.query_params) == link
