"""A class sees truth, verdict and boxes of a study only once they are revealed."""

from __future__ import annotations

import time

import pytest

from core.inference import verdict
from core.inference.plausibility import LevelPlausibility
from dashboard.spine_3d import scene
from dashboard.spine_3d.viewer.component import SceneEvents
from tests.dashboard.workplace import FRACTURED, SOUND
from tests.pages.driver import html, open_page, open_read_study, viewer, wait_for, wait_for_verdict

TEACHING = [{"present": "1"}, {"tour": "6"}]


def switch(app):
    return app.toggle(key="show_truth")


def overlays(app):
    return [layer["name"] for layer in viewer(app)["overlays"]]


@pytest.fixture
def scored(at_work):
    """The study has been scored, so that only the switch hides the verdict."""
    open_read_study()


@pytest.mark.slow
@pytest.mark.parametrize("query", TEACHING)
def test_diagnosis_hides_everything_until_it_is_revealed(scored, query):
    app = open_page("diagnosis", **query)
    assert not app.exception
    assert "lab-verdict" not in html(app)
    assert "Truth" not in html(app)
    assert "Verdict, boxes and truth are hidden" in html(app)
    assert viewer(app)["ribbon"] is None
    assert overlays(app) == []
    assert not app.get("plotly_chart")
    assert not app.slider
    switch(app).set_value(True).run()
    assert "lab-verdict" in html(app)
    assert "Truth" in html(app)
    assert viewer(app)["ribbon"] is not None
    assert "True boxes" in overlays(app)


@pytest.mark.slow
def test_the_next_patient_is_hidden_again_and_a_link_may_reveal(scored):
    app = open_page("diagnosis", present="1", truth="1")
    wait_for_verdict(app)
    assert switch(app).value is True
    app.selectbox(key="study").set_value(SOUND).run()
    assert switch(app).value is False
    assert "lab-verdict" not in html(app)
    app.selectbox(key="study").set_value(FRACTURED).run()
    assert switch(app).value is False


@pytest.mark.slow
def test_what_one_viewer_revealed_is_hidden_from_a_class(scored):
    app = wait_for_verdict(open_page("diagnosis", truth="1"))
    assert switch(app).label == "Show the truth"
    app.button(key="tour_present_side").click().run()
    assert "lab-verdict" not in html(app)
    assert "truth" not in app.query_params
    assert switch(app).label == "Reveal verdict, boxes and truth"


@pytest.fixture
def served(monkeypatch):
    """The scenes that the browser gets: information and whether true lines may be shown."""
    found = []
    known = scene.ServedInfo
    # The made network's levels are implausible, so that it would make no call.
    monkeypatch.setattr(verdict, "check_levels", lambda _: LevelPlausibility(()))

    def serve(future, make, owner):
        found.append((make.args[0], make.keywords["lines"]))
        return known(future, make, owner)

    shown = SceneEvents(drawn=True, failed=None, chosen=None)
    monkeypatch.setattr(scene, "scene_3d", lambda *_args, **_options: shown)
    monkeypatch.setattr(scene, "ServedInfo", serve)
    return found


def told(served):
    """Whether the last scene has probabilities, true boxes and true lines."""
    info, lines = served[-1]
    judged = any(level.prob is not None for level in info.levels)
    return judged, bool(info.true_boxes), lines


@pytest.mark.slow
def test_the_scene_of_a_class_has_no_probability_and_no_truth(scored, served):
    app = open_page("spine_3d", present="1")
    assert not app.exception
    assert told(served) == (False, False, False)
    assert "Vertebrae in figures" not in html(app)
    assert "Download<span>" not in html(app)
    switch(app).set_value(True).run()
    deadline = time.monotonic() + 60
    while "Vertebrae in figures" not in html(app):
        assert time.monotonic() < deadline, html(app)
        time.sleep(0.2)
        app.run()
    assert told(served) == (True, True, True)


@pytest.mark.slow
def test_elsewhere_the_scene_shows_the_verdict_and_the_truth_on_request(scored, served):
    app = open_page("spine_3d")
    assert told(served) == (True, False, False)
    wait_for(app, lambda: "Vertebrae in figures" in html(app))
    assert ">Truth<" not in html(app)
    switch(app).set_value(True).run()
    assert told(served) == (True, True, True)
    assert ">Truth<" in html(app)
