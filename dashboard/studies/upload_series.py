"""Decoding of uploads in a separate, limited process; derived data is deleted with the upload."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import streamlit as st

from core.config import Settings
from core.prepared.sandboxed_series import confined_reader, read_confined
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorkers
from core.types import CTVolume, Progress

_DERIVED: Final = "derived"


def derived_folder(session: str, settings: Settings) -> Path:
    """Folder for voxels and predictions of a session's upload; deleted with its next upload."""
    return settings.cspine_var.absolute() / "uploads" / session / _DERIVED


def read_upload(
    folder: Path, session: str, settings: Settings, progress: Progress | None = None
) -> CTVolume:
    """Read an uploaded series.

    Args:
        folder: Folder of the series.
        session: Session of the browser that uploaded it.
        settings: Folder for the voxels, and the limits of memory and time.
        progress: Called with slices read and slices in all; what it raises ends the reading.

    Raises:
        DicomSeriesError: The folder does not hold a readable CT series.
        WorkerError: Reading it took too much memory or time, or broke its process.
        StorageError: The voxels cannot be written.
    """
    workers = _workers(settings.upload_memory_mib, settings.upload_seconds, settings.upload_lanes)
    store = replace(settings.store, folder=derived_folder(session, settings))
    return read_confined(folder.absolute(), workers, store=store, progress=progress)


def start_reader(settings: Settings) -> None:
    """Start the decoding process while the upload is still being unpacked."""
    _workers(settings.upload_memory_mib, settings.upload_seconds, settings.upload_lanes).start()


@st.cache_resource(show_spinner=False, on_release=ConfinedWorkers.close)
def _workers(memory_mib: int, seconds: float, lanes: int) -> ConfinedWorkers:
    return confined_reader(Limits(memory_mib << 20, seconds), lanes)
