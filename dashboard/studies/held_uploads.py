"""Uploads are locked by the server that holds them, and removed when nobody does."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from core.config import Settings
from dashboard.session.session_end import at_session_end, watch_session
from dashboard.session.settings import settings

_LOCKS: Final = ".sessions"
INCOMING_PREFIX: Final = ".incoming-"
"""Folder of the files that browsers are sending to one server, which holds it like a session."""
_held: Final[dict[str, HeldUploads]] = {}


class HeldUploads:
    """Lock on the uploads of one session, which are removed when the session ends."""

    def __init__(self, session: str, settings: Settings) -> None:
        self._folder = settings.cspine_var / "uploads" / session
        self._lock = _lock_of(self._folder)
        # If the folder cannot be written, storing the upload reports it.
        # A starting server may hold the lock for a moment.
        with contextlib.suppress(Timeout, OSError):
            self._lock.acquire(timeout=1)

    def remove(self) -> None:
        """Remove the session's folder with all derived data."""
        shutil.rmtree(self._folder, ignore_errors=True)
        _release(self._lock)


def hold_uploads(session: str) -> None:
    """Keep a session's uploads until the session ends; called from its page."""
    watch_session(session)
    if session not in _held:
        _held[session] = HeldUploads(session, settings())


@at_session_end
def _remove(session: str) -> None:
    held = _held.pop(session, None)
    if held is not None:
        held.remove()
    else:
        shutil.rmtree(settings().cspine_var / "uploads" / session, ignore_errors=True)


def remove_abandoned(settings: Settings, *, older_than_s: float | None = None) -> int:
    """Remove the uploads of sessions that no running server holds; return their number.

    Args:
        settings: Upload folder.
        older_than_s: Minimum time since the last change, in seconds; None removes all. Time alone
            ends no session: the clock may jump, and a tab may stay open for days.
    """
    removed = 0
    latest = None if older_than_s is None else time.time() - older_than_s
    uploads = settings.cspine_var / "uploads"
    if not uploads.is_dir():
        return 0
    for folder in sorted(uploads.iterdir()):
        hidden = folder.name.startswith(".") and not folder.name.startswith(INCOMING_PREFIX)
        if hidden or not folder.is_dir():
            continue
        lock = _lock_of(folder)
        try:
            if latest is not None and folder.stat().st_mtime > latest:
                continue
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        removed += 1
        _release(lock)
    return removed


def _release(lock: FileLock) -> None:
    """Release a lock after removing its file, which might belong to another session later."""
    file = Path(lock.lock_file)
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
    lock.release()
    if os.name == "nt":  # Windows cannot remove an open file.
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def _lock_of(folder: Path) -> FileLock:
    locks = folder.parent / _LOCKS
    with contextlib.suppress(OSError):
        locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / folder.name, thread_local=False)
