"""Drives the real app in-process, page by page."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"


def open_page(name: str, **query: str) -> AppTest:
    """Start the app and go to a page, with these words in its URL."""
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    app.switch_page(f"../pages/{name}.py")
    for word, value in query.items():
        app.query_params[word] = value
    return app.run()


def open_read_study(**choices: str) -> AppTest:
    """Open Diagnosis and wait until the networks have read the study.

    Args:
        choices: Values of widgets by key, set one after the other.
    """
    app = open_page("diagnosis")
    for key, value in choices.items():
        widget = next(w for w in _widgets(app) if w.key == key)
        widget.set_value(value).run()
    return wait_for_verdict(app)


def wait_for_verdict(app: AppTest) -> AppTest:
    """Run again, as the polling fragment would, until the verdict stands."""
    deadline = time.monotonic() + 60
    while "lab-verdict" not in html(app):
        assert time.monotonic() < deadline, html(app)
        assert not app.error, [error.value for error in app.error]
        time.sleep(0.1)
        app.run()
    return app


def wait_for(app: AppTest, condition: Callable[[], object]) -> None:
    """Run again until something is there."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, html(app)
        time.sleep(0.1)
        app.run()


def expect_refused(app: AppTest, name: str, value: str) -> None:
    """The page names a wrong value of its link and opens nothing."""
    assert not app.exception
    (error,) = (one.value for one in app.error)
    assert f"“{name}”" in error
    # The sentence shows special characters with a backslash, and of a list the wrong part.
    assert any(part[:20] in error for part in re.findall(r"[^,*_-]+", value) or [""])
    assert app.button(key="link_without")
    controls = {"cspine_threshold_slider", "cspine_live_parts"}
    drawn = {element.proto.component_name for element in app.get("bidi_component")}
    assert not drawn - controls
    assert not app.dataframe


def html(app: AppTest) -> str:
    """All HTML on the page but the stylesheet."""
    parts = [element.proto.body for element in app.get("html")]
    parts = [part for part in parts if "<style" not in part]
    parts += [element.value for element in app.markdown]
    return "\n".join(parts)


def viewer(app: AppTest) -> dict:
    """What the page tells the viewer's browser side."""
    (one,) = viewers(app)
    return one


def viewers(app: AppTest) -> list[dict]:
    """What the page tells each slice viewer's browser side."""
    return [one for one in _components(app) if "shape" in one]


def slider(app: AppTest, name: str) -> dict:
    """What the page tells the browser side of a threshold's slider."""
    return next(one for one in _components(app) if one.get("name") == name)


def release(app: AppTest, name: str, value: float) -> AppTest:
    """Set a threshold as its slider does when it is let go; AppTest cannot move components."""
    app.session_state[name] = value
    return app.run()


def _components(app: AppTest) -> list[dict]:
    return [json.loads(element.proto.json) for element in app.get("bidi_component")]


def _widgets(app: AppTest) -> list:
    return [*app.button_group, *app.text_input, *app.selectbox]
