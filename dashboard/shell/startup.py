"""Work at server start: imports of the pages ahead of their first visit, removal of leftovers."""

from __future__ import annotations

import asyncio
import importlib
import logging
import pkgutil
import shutil
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Final

from streamlit import App, runtime

from core.cache.eviction import sweep_all
from core.config import PROJECT_ROOT, Settings
from core.errors import ConfigError
from core.system.atomic_files import LEFT_SECONDS, sweep_leftovers
from dashboard.background.processes import DELETED
from dashboard.session.admission import admission
from dashboard.session.session_end import sweep_until
from dashboard.session.settings import api_settings, settings
from dashboard.studies.confined import start_reader
from dashboard.studies.held_uploads import remove_abandoned
from dashboard.studies.incoming_files import INCOMING

_log = logging.getLogger("dashboard")

START_AFTER_S: Final = 3.0
"""Delay of the warm-up, so that the first page is drawn first."""
_turn = threading.RLock()
_warming = threading.Event()
_visitors: list[str] = []
"""Threads that wait or draw a page; the warm-up lets all of them go first."""


def decide_admission() -> None:
    """Decide who is admitted, before the server answers; exit with status 2 if it must not start.

    Raises:
        SystemExit: The login is not complete, others could reach the server without one, or a
            variable has a wrong value.
    """
    try:
        admission()
        api_settings()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from error


@contextmanager
def serialized_imports() -> Generator[None]:
    """Keep the imports of this thread and of the warm-up from running at the same time.

    Two threads that import packages with circular imports, such as pydicom, at the same time can
    see partly initialised modules: that is how Python breaks the deadlock of their module locks.
    """
    _visitors.append(threading.current_thread().name)
    try:
        with _turn if _warming.is_set() else nullcontext():
            yield None
    finally:
        _visitors.pop()


def load_first_page() -> None:
    """Import what the frame and the Overview need, before the server answers.

    Otherwise the first visitor would see an empty window for seconds.
    """
    for name in ("dashboard.app", *modules_below("dashboard.overview")):
        importlib.import_module(name)


def modules_below(package: str) -> list[str]:
    """Names of all modules of a package, subpackages included."""
    folder = PROJECT_ROOT.joinpath(*package.split("."))
    return [module.name for module in pkgutil.walk_packages([str(folder)], f"{package}.")]


def warm_up(stop: threading.Event) -> None:
    """Import the whole dashboard, pausing while a page is being drawn.

    Then start the process that reads folders of the server.
    """
    if stop.wait(START_AFTER_S):
        return
    _warming.set()
    try:
        _import_all(stop)
    finally:
        _warming.clear()
    if not stop.is_set():
        start_reader("folder", settings())


def _import_all(stop: threading.Event) -> None:
    start = time.perf_counter()
    for name in modules_below("dashboard"):
        if stop.wait(0.01):
            return
        while _visitors:
            if stop.wait(0.02):
                return
        with _turn:
            importlib.import_module(name)
    _log.info("The pages' modules are loaded after %.1f s.", time.perf_counter() - start)


def _sessions() -> tuple[Callable[[str], bool], Callable[[str], object]]:
    """Whether a session has a connection, and what ends one; by Streamlit's id."""
    server, loop = runtime.get_instance(), asyncio.get_running_loop()

    def close_now(tab: str) -> None:
        info = server._session_mgr.get_session_info(tab)  # pyright: ignore[reportPrivateUsage]
        server.close_session(tab)
        # Streamlit's loop keeps the last session until another one comes, and its fragments keep
        # the study that they were drawn with.
        if info is not None:
            info.session._fragment_storage.clear()  # pyright: ignore[reportPrivateUsage]

    def close(tab: str) -> None:
        loop.call_soon_threadsafe(close_now, tab)

    return server.is_active_session, close


@asynccontextmanager
async def lifespan(_app: App) -> AsyncGenerator[None]:
    """Remove abandoned uploads and load the first page, then clean up and warm up in threads."""
    current = settings()
    remove_abandoned(current)
    load_first_page()
    stop = threading.Event()
    if runtime.exists():
        threading.Thread(
            target=sweep_until, args=(stop, *_sessions()), name="session-ends", daemon=True
        ).start()
    threading.Thread(target=tidy_up, args=(current,), name="tidy-up", daemon=True).start()
    threading.Thread(target=warm_up, args=(stop,), name="warm-up", daemon=True).start()
    try:
        yield None
    finally:
        stop.set()
        INCOMING.close()


def tidy_up(settings: Settings) -> int:
    """Sweep cache, uploads and runs; return how many files of killed writes were removed."""
    uploads = settings.cspine_var / "uploads"
    folders = (settings.rsna_cache, uploads, settings.runs_root)
    removed = sum(sweep_leftovers(folder) for folder in folders)
    sweep_all(settings.rsna_cache)
    for root in (settings.runs_root, settings.cspine_var / "cohorts"):
        for deleted in root.glob(f"{DELETED}*"):
            _, _, renamed_ns = deleted.name.rpartition("-")
            # Another server may still be removing a younger one.
            if renamed_ns.isdecimal() and time.time_ns() - int(renamed_ns) > LEFT_SECONDS * 1e9:
                shutil.rmtree(deleted, ignore_errors=True)
    if removed:
        _log.info("%d files of interrupted writes were removed.", removed)
    return removed
