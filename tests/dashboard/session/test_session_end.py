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
def test_a_session_ends_when_its_connection_stays_away_and_is_cleared_twice(ended):
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
    sweep(70.0)
    sweep(80.0)
    assert (ended, closed) == (["tab", "tab"], ["tab"])
