"""The Preprocessing page: steps, draws, noise reduction, and settings handed to Training."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.pages.driver import html, open_page


def widget(widgets, key):
    return next(w for w in widgets if w.key == key)


def turn_to(app, part):
    return widget(app.button_group, "pre_part").set_value(part).run()


def small(app):
    return widget(app.selectbox, "pre_size").set_value(64).run()


def test_every_step_is_shown_and_named(at_work):
    app = small(open_page("preprocessing"))
    assert not app.exception
    assert not app.error
    for shown in ("1 · Hounsfield units", "2 · Window to 0–255", "3 · Resized to 64²",
                 "black at −500 HU, white at 1300 HU", "Channel 3"):  # fmt: skip
        assert shown in html(app)
    assert len(app.get("image")) == 7


def test_the_page_opens_with_the_input_of_the_default_network(at_work, tmp_path, monkeypatch):
    shutil.copytree(at_work.checkpoints, tmp_path / "checkpoints")
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "checkpoints"))
    file = tmp_path / "checkpoints" / "fracture-made" / "config.json"
    config = json.loads(file.read_text())
    config |= {"size": 144, "field_mm": 88.0, "window_center": 40.0, "window_width": 400.0}
    config["channels"] = "neighbours"
    file.write_text(json.dumps(config))
    app = open_page("preprocessing")
    assert not app.exception
    assert "3 · Resized to 144²" in html(app)
    assert "A square of 88 mm along the spine" in html(app)
    assert widget(app.selectbox, "pre_window").value == "Soft tissue"
    assert widget(app.selectbox, "pre_channels").value == "neighbours"
    said = "This is the input of fracture-made"
    assert any(said in caption.value for caption in app.caption)
    small(app)
    assert not any(said in caption.value for caption in app.caption)
    app.button(key="pre_again").click().run()
    assert widget(app.selectbox, "pre_size").value == 144


@pytest.mark.slow
def test_idle_changes_are_told_and_only_where_they_are_idle(at_work):
    app = turn_to(small(open_page("preprocessing")), "Augmentation")
    assert "8 draws" in html(app)
    assert app.info[0].value.startswith("Saturation and hue change nothing here, byte for byte.")
    widget(app.selectbox, "pre_channels").set_value("windows").run()
    assert not app.exception
    assert not app.info
    widget(app.slider, "pre_draws").set_value(3).run()
    assert len(app.get("image")) == 3


@pytest.mark.slow
def test_noise_reduction_reaches_the_steps(at_work):
    app = turn_to(small(open_page("preprocessing")), "Noise reduction")
    widget(app.button_group, "pre_noise").set_value("kmeans").run()
    widget(app.slider, "pre_clusters").set_value(3).run()
    assert not app.exception
    assert "3 clusters, the brightest white" in html(app)
    assert len(app.get("plotly_chart")) == 1
    assert "4 · Noise reduced" in html(turn_to(app, "Step by step"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("augmented", "last_part"),
    [(True, "Augmentation"), (True, "Step by step"), (True, "Noise reduction"), (False, "")],
)
def test_settings_are_handed_to_the_training_form(at_work, augmented, last_part):
    app = small(open_page("preprocessing"))
    widget(app.selectbox, "pre_window").set_value("Soft tissue").run()
    widget(app.selectbox, "pre_channels").set_value("neighbours").run()
    app = turn_to(app, "Noise reduction")
    widget(app.button_group, "pre_noise").set_value("otsu").run()
    if augmented:
        app = turn_to(app, "Augmentation")
        widget(app.slider, "pre_rotation").set_value(33.0).run()
        app = turn_to(app, last_part)
    next(b for b in app.button if b.label == "Use these settings").click().run()
    assert not app.exception
    assert "Preprocessing page" in app.success[0].value

    def held(key):
        every = [*app.selectbox, *app.number_input, *app.toggle]
        return widget(every, f"train_{key}").value

    asked = ("window_center", "window_width", "size", "channels", "noise_reduction")
    assert [held(key) for key in asked] == [40, 400, 64, "neighbours", "otsu"]
    assert held("augment") is augmented
    if augmented:
        assert held("augment_rotation_deg") == 33.0
