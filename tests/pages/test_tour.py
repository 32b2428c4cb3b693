"""The tour and the presenter layout, drawn around the real pages."""

from __future__ import annotations

import pytest

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from dashboard.tour.stops import STOPS
from tests.dashboard.workplace import FRACTURED
from tests.pages.driver import html, open_page


def press(app, key):
    """Click a button; after a fragment's run, the whole page has to be drawn anew before that."""
    if all(button.key != key for button in app.button):
        app.run()
    next(button for button in app.button if button.key == key).click()
    return app.run()


def title(app):
    """The page on show."""
    text = html(app)
    return next((page for page in ("Dataset", "Preprocessing", "Training", "Evaluation",
                "Diagnosis", "3D spine", "Reader study")
                if f"<h1>{page}</h1>" in text), "Overview")  # fmt: skip


def stop(app):
    """The stop that the bar names; None without a bar."""
    text = html(app)
    found = [s.title for s in STOPS if f'<b>{s.title}</b><span class="lab-tour-dots"' in text]
    return found[0] if found else None


def widget(app, kind, key):
    return next(w for w in app.get(kind) if w.key == key)


@pytest.mark.slow
def test_the_overview_leads_to_the_first_stop(at_work):
    app = open_page("overview")
    (link,) = [e for e in app.get("page_link") if "tour" in e.proto.label]
    assert link.proto.page == "dataset"
    assert "tour=1" in link.proto.query_string


@pytest.mark.slow
def test_next_leads_through_all_eight_stops_and_back_again(at_work):
    app = open_page("dataset", tour="1")
    seen = []
    for number in range(1, 9):
        assert not app.exception
        seen.append((stop(app), title(app)))
        assert app.query_params["tour"] == str(number)
        if number < 8:
            press(app, "tour_next")
    assert seen == [
        ("Data", "Dataset"),
        ("Preprocessing", "Preprocessing"),
        ("Training", "Training"),
        ("Comparison", "Evaluation"),
        ("Threshold", "Evaluation"),
        ("One patient", "Diagnosis"),
        ("3D", "3D spine"),
        ("You against the model", "Reader study"),
    ]
    press(app, "tour_back")
    press(app, "tour_back")
    assert stop(app) == "One patient"
    assert app.query_params["study"] == FRACTURED


@pytest.mark.slow
def test_a_stop_opens_on_its_subject(at_work):
    app = open_page("dataset", tour="1")
    assert app.query_params["fractured"] == "yes"
    press(app, "tour_next")
    assert app.query_params["study"] == FRACTURED
    assert widget(app, "selectbox", "pre_channels").value == "windows"


def test_a_link_to_a_stop_turns_to_its_page(at_work):
    app = open_page("overview", tour="6")
    assert (stop(app), title(app)) == ("One patient", "Diagnosis")


@pytest.mark.slow
def test_leaving_restores_what_the_tour_and_the_class_have_changed(at_work):
    app = open_page("preprocessing")
    widget(app, "selectbox", "pre_channels").set_value("neighbours").run()
    widget(app, "toggle", "pre_follow").set_value(True).run()

    app.query_params["tour"] = "2"
    app.run()
    assert widget(app, "selectbox", "pre_channels").value == "windows"
    assert widget(app, "toggle", "pre_follow").value is False
    widget(app, "selectbox", "pre_size").set_value(128).run()
    press(app, "tour_next")
    press(app, "tour_leave")
    assert title(app) == "Overview"
    assert stop(app) is None
    assert dict(app.query_params) == {}

    app.switch_page("../pages/preprocessing.py").run()
    assert not app.exception
    assert widget(app, "selectbox", "pre_channels").value == "neighbours"
    assert widget(app, "toggle", "pre_follow").value is True
    assert widget(app, "selectbox", "pre_size").value == 32


@pytest.mark.slow
def test_a_stop_opens_in_its_initial_state_each_time(at_work):
    app = open_page("preprocessing", tour="2")
    widget(app, "selectbox", "pre_channels").set_value("grey").run()
    press(app, "tour_next")
    press(app, "tour_back")
    assert widget(app, "selectbox", "pre_channels").value == "windows"


@pytest.mark.slow
def test_another_page_shows_the_way_back_to_the_stop(at_work):
    app = open_page("preprocessing", tour="2")
    app.switch_page("../pages/training.py").run()
    assert "This stop is on the page Preprocessing" in html(app)
    assert "tour" not in app.query_params
    press(app, "tour_return")
    assert (stop(app), title(app)) == ("Preprocessing", "Preprocessing")


@pytest.mark.slow
def test_the_last_stop_finishes_the_tour(at_work):
    app = open_page("reader_study", tour="8")
    press(app, "tour_finish")
    assert (stop(app), title(app)) == (None, "Overview")


def test_the_tour_works_without_data_and_networks(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "none"))
    app = open_page("dataset", tour="1")
    for _ in range(6):
        assert not app.exception
        press(app, "tour_next")
    assert (stop(app), title(app)) == ("3D", "3D spine")


def test_the_presenter_layout_keeps_the_warnings_and_drops_the_sidebar(at_work):
    app = open_page("training", present="1")
    assert SYNTHETIC_WARNING in html(app)
    assert NOT_FOR_CLINICAL_USE in html(app)
    assert len(app.sidebar) == 0
    press(app, "tour_present_note")
    assert "present" not in app.query_params
    assert len(app.sidebar) > 0
    press(app, "tour_present_side")
    assert app.query_params["present"] == "1"


@pytest.mark.slow
def test_the_layout_stays_from_stop_to_stop(at_work):
    app = open_page("preprocessing", tour="2", present="1")
    press(app, "tour_next")
    assert app.query_params["present"] == "1"
    assert stop(app) == "Training"
