"""Background work on a page: place in line, progress, time left, cancel, error and a second try."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import BundleError
from dashboard.background.budget import Allowance
from dashboard.background.thread_jobs import JobPool


def page(job, cancel):
    from dashboard.widgets.job_status import job_progress

    job_progress(
        job, "Scoring slice {done} of {total}", starting="Loading the networks …",
        note="Browse meanwhile.", stage=(1, 2), cancel=cancel, key="cancel",
    )  # fmt: skip


def drawn(cancel=None, **changes):
    job = SimpleNamespace(
        done=0, total=0, place=0, finished=False, seconds_left=None, is_stalled=False
    )
    vars(job).update(changes)
    app = AppTest.from_function(page, kwargs={"job": job, "cancel": cancel}).run()
    assert not app.exception
    return app


@pytest.mark.parametrize(
    ("job", "value", "text"),
    [
        ({}, 50, "Loading the networks …"),
        ({"place": 2}, 50, "Waiting for its turn: 2 others first. Browse meanwhile."),
        ({"done": 1_000, "total": 4_000}, 62,
         "Scoring slice 1,000 of 4,000. Browse meanwhile."),
        ({"done": 2, "total": 4, "seconds_left": 0.1}, 75,
         "Scoring slice 2 of 4 · less than 1 min left. Browse meanwhile."),
        ({"done": 2, "total": 4, "seconds_left": 521.0}, 75,
         "Scoring slice 2 of 4 · about 9 min left. Browse meanwhile."),
        ({"done": 2, "total": 4, "seconds_left": 521.0, "is_stalled": True}, 75,
         "Scoring slice 2 of 4 · stalled: this step takes far longer than the others. "
         "Browse meanwhile."),
    ],
)  # fmt: skip
def test_place_progress_and_time_left_are_shown(job, value, text):
    (bar,) = drawn(**job).get("progress")
    assert (bar.proto.value, bar.proto.text) == (value, text)


def test_finished_work_draws_nothing_more():
    assert not drawn(finished=True).get("progress")


def test_the_button_cancels():
    calls = []
    app = drawn(cancel=lambda: calls.append(1), done=1, total=4)
    app.button(key="cancel").click().run()
    assert calls == [1]


def test_a_page_is_drawn_again_once_its_work_has_ended():
    def watching(gate, drawings):
        import streamlit as st

        from dashboard.widgets.job_status import poll

        if gate.is_set():
            st.write("done")
        else:
            poll(lambda: drawings.append(1) or gate.set(), every=None)

    gate, drawings = threading.Event(), []
    app = AppTest.from_function(watching, kwargs={"gate": gate, "drawings": drawings}).run()
    assert [text.value for text in app.markdown] == ["done"]
    assert drawings == [1]


def test_a_failure_is_shown_with_another_try():
    def failing(job):
        import streamlit as st

        from dashboard.widgets.job_status import failed

        st.write(str(failed(job, icon=":material/neurology:", key="again")))

    def work(progress):
        raise BundleError("The weights are gone; train again.")

    pool = JobPool("test", Allowance(1, 64, 8))
    job = pool.submit("a", work)
    job.future.exception(timeout=5)
    app = AppTest.from_function(failing, kwargs={"job": job}).run()
    assert [error.value for error in app.error] == ["The weights are gone; train again."]
    assert app.markdown[0].value == "True"
    app.button(key="again").click().run()
    assert pool.find("a") is None
