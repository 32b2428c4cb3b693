"""The study on a session's screen: its work goes on, that of studies left behind ends."""

from __future__ import annotations

from dashboard.background.job import Wish
from dashboard.background.thread_jobs import show_only
from dashboard.session.session_end import asking_session, watch_tab
from dashboard.studies.open_study import OpenStudy


def put_on_screen(study: OpenStudy) -> None:
    """Note that this session shows a study now."""
    session = asking_session()
    if session:
        watch_tab(session)
        show_only(session, study.fingerprint)


def wish_for(study: OpenStudy, what: str) -> Wish | None:
    """What this session wants a job for; None outside a session.

    Args:
        study: Study on its screen.
        what: Kind of work.
    """
    session = asking_session()
    return Wish(session, study.fingerprint, what) if session else None
