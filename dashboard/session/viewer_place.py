"""What each slice viewer reports: its slice and marks; and the slice that the page wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

_VIEWER: Final = "_viewer_"


@dataclass(frozen=True, slots=True)
class ViewerCommand:
    """Slice that a viewer has to show; the browser follows each serial number once."""

    slice_index: int
    serial: int


def viewer_command(viewer: str, study: str, wanted: int | None, n_slices: int) -> ViewerCommand:
    """Decide whether the browser must move to `wanted` or is there already.

    A report that left the browser before the last command reached it does not count: the view of
    a user who scrolls while the page runs would jump back and forth.

    Args:
        viewer: Key of the widget.
        study: Fingerprint of the study on show.
        wanted: Slice to show; None keeps the current one.
        n_slices: Number of slices of the study.
    """
    known = st.session_state.get(_VIEWER + viewer)
    if known is None or known[0] != study:
        serial = 1 if known is None else known[1].serial + 1
        start = n_slices // 2 if wanted is None else wanted
        command = ViewerCommand(min(max(start, 0), n_slices - 1), serial)
    else:
        command = known[1]
        if wanted is not None and wanted != shown_slice(viewer):
            command = ViewerCommand(min(max(wanted, 0), n_slices - 1), command.serial + 1)
    st.session_state[_VIEWER + viewer] = (study, command)
    return command


def shown_slice(viewer: str) -> int:
    """Slice on show in a viewer, as far as this session knows."""
    command: ViewerCommand = st.session_state[_VIEWER + viewer][1]
    report = (st.session_state.get(viewer) or {}).get("view") or {}
    current = report.get("serial") == command.serial
    return int(report["slice"]) if current else command.slice_index


def reported_marks(viewer: str) -> dict[str, Any]:
    """The changes of marks that a viewer has reported last."""
    return dict((st.session_state.get(viewer) or {}).get("marks") or {})
