"""What is new at this installation, and whether it has room and is busy."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import streamlit as st

from core.cache.eviction import used_bytes
from core.models.bundles import TEAM_POINTS_FOLDER
from core.training.run_list import ALIVE, list_runs
from dashboard.session.settings import settings
from dashboard.session.wording import ago
from dashboard.studies.study_annotations import annotation_store

_WEEK_S = 7 * 24 * 3600.0


def installation_card() -> None:
    """Draw what has happened in the last seven days, and disk, cache and queue."""
    current = settings()
    runs = list_runs(current.runs_root)
    busy = sum(run.state in ALIVE for run in runs)
    points = current.cspine_var / TEAM_POINTS_FOLDER
    lines = [
        ("Runs", _lately([current.runs_root / run.run_id for run in runs])),
        ("Reviews", _lately(list(annotation_store().folder.glob("*.jsonl")))),
        (
            "Operating points set here",
            _lately(list(points.glob("*.json"))),
        ),
        ("In work", f"{busy} {'run' if busy == 1 else 'runs'}" if busy else "nothing"),
        ("Cache", f"{used_bytes(current.rsna_cache) / (1 << 30):.1f} GiB"),
        ("Free on its disk", f"{_free(current.rsna_cache) / (1 << 30):,.0f} GiB"),
    ]
    rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in lines)
    st.html(
        '<section class="lab-card"><h2>This installation</h2>'
        f'<table class="lab-table lab-numbers">{rows}</table></section>'
    )


def _lately(places: list[Path]) -> str:
    """How many there are, how many are of the last seven days, and when the last one changed."""
    now, times = time.time(), list[float]()
    for place in places:
        try:
            times.append(place.stat().st_mtime)
        except OSError:
            continue
    if not times:
        return "none"
    new = sum(now - at < _WEEK_S for at in times)
    return f"{len(times):,}, {new:,} in seven days, the last {ago(max(now - max(times), 0.0))}"


def _free(folder: Path) -> int:
    """Bytes free on the disk of a folder, or of the nearest one that exists."""
    places = (folder.absolute(), *folder.absolute().parents)
    return shutil.disk_usage(next(place for place in places if place.is_dir())).free
