"""Imports of the pages, made while nobody waits: the first look at each page is then as quick."""

from __future__ import annotations

import ast
import importlib
import logging
import shutil
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from streamlit import App

from core.cache.eviction import sweep_all
from core.config import Settings
from core.system.atomic_files import LEFT_SECONDS, sweep_leftovers
from dashboard.background.processes import DOOMED
from dashboard.session.page_files import PAGES
from dashboard.studies.uploads import remove_abandoned

_log = logging.getLogger("dashboard")

START_AFTER_S: Final = 3.0
"""The first page is drawn first."""
_log = logging.getLogger("dashboard")
_turn = threading.RLock()
_warming = threading.Event()
_readers: list[str] = []
"""Who waits or works; the warm-up lets all of them go first."""


@contextmanager
def in_turn() -> Generator[None]:
    """Keep other imports out while the warm-up is at work; afterwards nobody waits.

    Two threads that import packages with circular imports, such as pydicom, at the same time can
    see them half made: Python breaks the deadlock of their module locks that way.
    """
    _readers.append(threading.current_thread().name)
    try:
        with _turn if _warming.is_set() else nullcontext():
            yield None
    finally:
        _readers.pop()


def page_imports(folder: Path = PAGES) -> list[str]:
    """Modules that the pages import from the dashboard, in the order of the pages' names."""
    return list(dict.fromkeys(n for page in sorted(folder.glob("*.py")) for n in _imports_of(page)))


def load_first_page() -> None:
    """Import what the frame and the Overview need, before the server answers.

    A reader who opens the page at once would otherwise wait seconds at an empty window.
    """
    for file in (PAGES.parent / "dashboard" / "app.py", PAGES / "overview.py"):
        for name in _imports_of(file):
            importlib.import_module(name)


def _imports_of(file: Path) -> list[str]:
    """Modules of the dashboard that a file imports, wherever in it, each once."""
    return list(
        dict.fromkeys(
            str(node.module)
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dashboard.")
        )
    )


def warm_up(stop: threading.Event) -> None:
    """Import what the pages import, leaving the processor to a reader's request in between."""
    if stop.wait(START_AFTER_S):
        return
    _warming.set()
    try:
        _import_all(stop)
    finally:
        _warming.clear()


def _import_all(stop: threading.Event) -> None:
    start = time.perf_counter()
    for name in page_imports():
        if stop.wait(0.01):
            return
        while _readers:
            if stop.wait(0.02):
                return
        with _turn:
            importlib.import_module(name)
    _log.info("The pages' modules are loaded after %.1f s.", time.perf_counter() - start)


@asynccontextmanager
async def lifespan(_app: App) -> AsyncGenerator[None]:
    """Remove what earlier servers left, load the first page, warm up beside the server."""
    settings = Settings()
    remove_abandoned(settings)
    load_first_page()
    stop = threading.Event()
    threading.Thread(target=tidy_up, args=(settings,), name="tidy-up", daemon=True).start()
    threading.Thread(target=warm_up, args=(stop,), name="warm-up", daemon=True).start()
    try:
        yield None
    finally:
        stop.set()


def tidy_up(settings: Settings) -> int:
    """Sweep cache, uploads and runs; returns how many files of killed writes were removed."""
    uploads = settings.cspine_var / "uploads"
    folders = (settings.rsna_cache, uploads, settings.runs_root)
    removed = sum(sweep_leftovers(folder) for folder in folders)
    sweep_all(settings.rsna_cache)
    for root in (settings.runs_root, settings.cspine_var / "cohorts"):
        for doomed in root.glob(f"{DOOMED}*"):
            _, _, renamed_ns = doomed.name.rpartition("-")
            # Another server may be at the removal of a younger one.
            if renamed_ns.isdecimal() and time.time_ns() - int(renamed_ns) > LEFT_SECONDS * 1e9:
                shutil.rmtree(doomed, ignore_errors=True)
    if removed:
        _log.info("%d files of writes that were killed are removed.", removed)
    return removed
