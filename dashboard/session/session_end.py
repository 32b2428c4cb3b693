"""The end of a browser session: what it alone may see is removed within seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypedDict

from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.system.freed_memory import return_freed_memory
from core.system.lasting_objects import ImportedModules, collect_all
from dashboard.session.program import program_session

_log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 1.5
"""How long a lost connection may take to come back before the session has ended."""
EVERY_SECONDS: Final = 0.5
_AGAIN_SECONDS: Final = (1.5, 10.0, 60.0)
"""After these, removal is repeated: a page may have been half drawn when its session ended."""
_REMEMBERED: Final = 10_000
"""Number of ended sessions that are remembered."""

_actions: Final[list[Callable[[str], object]]] = []
_tabs: Final[dict[str, str]] = {}
"""Streamlit's id by the name of the session, of sessions that hold data of their own."""
_lost: Final[dict[str, float]] = {}
"""When a session's connection was first seen to be gone, on the monotonic clock."""
_repeats: Final[dict[str, list[float]]] = {}
"""When removal is repeated for an ended session."""
_ended: Final[dict[str, None]] = {}
"""Names of sessions that have ended, the latest last; none of them comes back."""


def at_session_end(action: Callable[[str], object]) -> Callable[[str], object]:
    """Have a function called with the name of every session that has ended, more than once."""
    _actions.append(action)
    return action


def watch_session(session: str) -> None:
    """Remove what belongs to this session when its tab is closed; called from its page."""
    context = get_script_run_ctx()
    if context is not None:
        _tabs[session] = context.session_id


def watch_tab(tab: str) -> None:
    """The same for what belongs to Streamlit's id of a session, such as files that it sends."""
    _tabs[tab] = tab


def asking_session(owner: str | None = None) -> str:
    """The owner of the data, else the session of the program or of the page that asks, else ""."""
    asking = owner or program_session()
    if asking is not None:
        return asking
    context = get_script_run_ctx()
    return "" if context is None else context.session_id


class Whose(TypedDict):
    """Session that asks for a job, and whether the job ends with it."""

    session: str
    private: bool


def whose(owner: str | None) -> Whose:
    """For whom a job on a study is done.

    Args:
        owner: The only session that may see the study; None if every session may.
    """
    return {"session": asking_session(owner), "private": owner is not None}


def forget_session(session: str) -> None:
    """Call every action; one that fails is logged and does not keep the others from their work."""
    for action in _actions:
        try:
            action(session)
        except Exception:  # noqa: BLE001 - whatever it is, the others have to run
            _log.exception("What an ended session left could not be removed.")


def end_session(session: str) -> None:
    """End a session that has no page, and remove what belongs to it."""
    _note_end(session, time.monotonic())
    forget_session(session)


def _note_end(session: str, now: float) -> None:
    _ended[session] = None
    _repeats[session] = [now + after for after in _AGAIN_SECONDS]


def has_ended(session: str) -> bool:
    """Whether a session has ended, so that nothing may be made for it any more."""
    return session in _ended


def sweep_sessions(
    is_connected: Callable[[str], bool], close: Callable[[str], object], now: float
) -> None:
    """Find the sessions that have ended, and remove what they left.

    Args:
        is_connected: Whether the session with this id of Streamlit's has a connection.
        close: Ends a session of Streamlit's, whose state would be kept for minutes otherwise.
        now: Time on the monotonic clock, in seconds.
    """
    ended: list[str] = []
    for session, tab in list(_tabs.items()):
        if is_connected(tab):
            _lost.pop(session, None)
        elif now - _lost.setdefault(session, now) >= GRACE_SECONDS:
            del _tabs[session], _lost[session]
            close(tab)
            ended.append(session)
            _note_end(session, now)
    for session in list(_ended)[:-_REMEMBERED]:
        del _ended[session]
    due = [session for session, times in _repeats.items() if times[0] <= now]
    for session in due:
        _repeats[session] = [when for when in _repeats[session] if when > now]
        if not _repeats[session]:
            del _repeats[session]
    for session in (*ended, *due):
        forget_session(session)
    if ended or due:
        # Pages and their fragments hold each other in circles, with arrays in them.
        collect_all()
        return_freed_memory()


def sweep_until(
    stop: threading.Event, is_connected: Callable[[str], bool], close: Callable[[str], object]
) -> None:
    """Sweep twice a second until the event is set; a thread of the server."""
    modules = ImportedModules()
    while not stop.wait(EVERY_SECONDS):
        sweep_sessions(is_connected, close, time.monotonic())
        # Streamlit collects garbage after every answer, and sweeping above does.
        modules.set_aside_once_settled()
