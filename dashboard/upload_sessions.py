"""Uploads end with the browser session that made them, at the latest when a server starts.

A lock a session, held by the server that serves it and given back by the operating system when that
server dies, tells folders in use from those that were left behind: two servers may share a `var/`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

import streamlit as st
from filelock import FileLock, Timeout

from core.config import Settings

_LOCKS: Final = ".sessions"


class HeldUploads:
    """The uploads of one session, removed when it is let go."""

    def __init__(self, session: str, settings: Settings) -> None:
        self._folder = settings.cspine_var / "uploads" / session
        self._lock = _lock_of(self._folder)
        # A place that cannot be written refuses the upload itself, in words.
        # A server that starts may be looking at the lock; it does so for a moment.
        with contextlib.suppress(Timeout, OSError):
            self._lock.acquire(timeout=1)

    def remove(self) -> None:
        """Remove the session's folder with all that was derived from it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        _let_go(self._lock)


def hold_uploads(session: str) -> None:
    """Keep a session's uploads until the session ends; for the script of that session."""
    _held(session)


def remove_abandoned(settings: Settings, *, older_than_s: float | None = None) -> int:
    """Remove the uploads of sessions that no running server holds; returns how many they were.

    Args:
        settings: Where uploads lie.
        older_than_s: Only those that were last changed so long ago. The clock alone ends no
            session: it may jump, and a tab may stay open for days.
    """
    removed = 0
    latest = None if older_than_s is None else time.time() - older_than_s
    uploads = settings.cspine_var / "uploads"
    if not uploads.is_dir():
        return 0
    for folder in sorted(uploads.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
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
        _let_go(lock)
    return removed


@st.cache_resource(scope="session", show_spinner=False, on_release=HeldUploads.remove)
def _held(session: str) -> HeldUploads:
    return HeldUploads(session, Settings())


def _let_go(lock: FileLock) -> None:
    """Give a lock back, its file first: a file removed later might be another's by then."""
    file = Path(lock.lock_file)
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
    lock.release()
    if os.name == "nt":  # An open file cannot be removed there.
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def _lock_of(folder: Path) -> FileLock:
    locks = folder.parent / _LOCKS
    with contextlib.suppress(OSError):
        locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / folder.name, thread_local=False)
