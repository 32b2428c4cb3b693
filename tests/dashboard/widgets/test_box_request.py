"""The button that starts the localiser starts it once, and leaves nothing that holds the study."""

from __future__ import annotations

import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.widgets import box_request


def page():
    from dashboard.widgets import box_request

    box_request.box_request("study")


def test_a_click_starts_the_localiser_without_a_callback_that_keeps_the_study(monkeypatch):
    started, drawn, button = [], [], st.button
    found = {"localizer_in_use": "bundle", "find_raw": None, "find_box_job": None}
    for name, answer in found.items():
        monkeypatch.setattr(box_request, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(box_request, "_start", lambda *which: started.append(which))
    monkeypatch.setattr(st, "button", lambda *a, **more: drawn.append(more) or button(*a, **more))
    app = AppTest.from_function(page).run()
    app.button(key="predict_boxes").click().run()
    assert started == [("study", "bundle")]
    assert drawn
    assert all(more.keys().isdisjoint(("on_click", "args", "kwargs")) for more in drawn)
    assert not app.exception
    app.run()
    assert len(started) == 1
