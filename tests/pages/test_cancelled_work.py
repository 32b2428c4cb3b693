"""Work on the study on the screen can be cancelled and taken up again."""

from __future__ import annotations

import shutil
import threading

import pytest

from dashboard.studies import predictions
from tests.dashboard.workplace import FRACTURED, SOUND
from tests.pages.driver import html, open_page, wait_for, wait_for_verdict

pytestmark = pytest.mark.slow


@pytest.fixture
def held(at_work, monkeypatch):
    """Networks that score nothing until they are let go, and the runs that they began."""
    shutil.rmtree(at_work.var / "cache" / "predictions", ignore_errors=True)
    predictions._pool.clear()
    gate, begun, real = threading.Event(), [], predictions._predict

    def wait(study, pair, folder, progress):
        begun.append(study.fingerprint)
        while not gate.wait(0.01):
            progress(1, 20)
        real(study, pair, folder, progress)

    monkeypatch.setattr(predictions, "_predict", wait)
    yield gate, begun
    gate.set()
    predictions._pool.clear()


def has_button(app, key):
    return any(button.key == key for button in app.button)


def test_a_run_is_cancelled_by_its_button_and_starts_again_by_another(held):
    gate, begun = held
    app = open_page("diagnosis", study=FRACTURED)
    wait_for(app, lambda: begun and has_button(app, "read_cancel"))
    app.button(key="read_cancel").click().run()
    assert not app.error
    assert "you cancelled it" in "".join(text.value for text in app.caption)
    assert not predictions._pool().busy
    app.run()
    assert len(begun) == 1
    gate.set()
    app.button(key="read_resume").click().run()
    wait_for_verdict(app)
    assert begun[1:] == begun[:1]


def test_the_study_on_the_screen_does_not_wait_for_the_one_before(held):
    gate, begun = held
    app = open_page("diagnosis", study=FRACTURED)
    wait_for(app, lambda: len(begun) == 1)
    app.selectbox(key="study").set_value(SOUND).run()
    wait_for(app, lambda: len(begun) == 2)
    # Back on the first study, it is scored as if nothing had been cancelled.
    app.selectbox(key="study").set_value(FRACTURED).run()
    wait_for(app, lambda: len(begun) == 3)
    assert begun[0] == begun[2] != begun[1]
    assert not app.error
    assert "cancelled" not in html(app)
    gate.set()
    wait_for_verdict(app)
