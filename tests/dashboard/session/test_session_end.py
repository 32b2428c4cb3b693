from __future__ import annotations

import pytest

from dashboard.session import session_end


@pytest.fixture
def ended(monkeypatch):
    """Names that the actions were called with, in order."""
    names = []

    def fails(name):
        raise RuntimeError(name)

    monkeypatch.setattr(session_end, "_actions", [fails, names.append])
    return names


@pytest.mark.slow
def test_a_session_ends_when_its_connection_stays_away_and_is_cleared_again_later(ended):
    connected, closed = {"tab": True}, []

    def sweep(now):
        session_end.sweep_sessions(lambda tab: connected[tab], closed.append, now)

    session_end.watch_tab("tab")
    sweep(0.0)
    connected["tab"] = False
    sweep(1.0)
    connected["tab"] = True
    sweep(2.0)
    sweep(60.0)
    assert (ended, closed) == ([], [])
    connected["tab"] = False
    sweep(61.0)
    sweep(61.0 + session_end.GRACE_SECONDS)
    assert (ended, closed) == (["tab"], ["tab"])
    assert session_end.has_ended("tab")
    for now in (63.0, 64.1, 70.0, 73.0, 100.0, 123.0, 200.0):
        sweep(now)
    # At the end, and 1.5, 10 and 60 s later.
    assert (ended, closed) == (["tab"] * 4, ["tab"])
