"""The viewer on a page: its data for the browser, and the state that the browser reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import streamlit as st

from core.constants import DISPLAY_WINDOWS
from core.prepared.planes import load_planes, planes_grid
from core.preprocessing.body import body_box
from core.types import BoxXyxy
from dashboard.background.shelf import Shelf
from dashboard.session import state, viewer_place
from dashboard.session.settings import settings
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.served_bytes import PIXELS, PixelSource, proof_for
from dashboard.studies.slice_image import edge_letters
from dashboard.studies.study_marks import MarkedStudy, shown_marks, take_marks
from dashboard.widgets.palette import CURRENT
from dashboard.widgets.slice_viewer.overlays import Overlay
from dashboard.widgets.slice_viewer.ribbon import Ribbon
from dashboard.widgets.slice_viewer.routes import pixels_path
from dashboard.widgets.threshold_slider.slider import script

Pane = Literal["axial", "sagittal", "coronal"]

_FRONTEND: Final = Path(__file__).resolve().parent / "frontend"
_SCRIPTS: Final = (
    "windowing.js", "pixels.js", "geometry.js", "measures.js", "slabs.js", "layers.js", "hud.js",
    "marks.js", "mark_drawing.js", "drafting.js", "mark_list.js", "look.js", "cine.js", "pane.js",
    "gestures.js", "ribbon.js", "screenshot.js", "commands.js", "icons.js", "toolbar.js",
    "viewer.js",
)  # fmt: skip
"""One module in the browser, after `moved.js` and in this order; `viewer.js` exports what Streamlit
calls."""
_BODIES: Final = Shelf[BoxXyxy](64)


def slice_viewer(
    study: OpenStudy,
    *,
    key: str,
    slice_index: int | None = None,
    panes: Sequence[Pane] = ("axial",),
    overlays: Sequence[Overlay] = (),
    ribbon: Ribbon | None = None,
    height: int = 560,
    leads: bool = False,
    study_id: str | None = None,
) -> None:
    """Show a study; scrolling and windowing happen in the browser without a rerun.

    When the user stops at another slice or clicks a point, the page (or the fragment that calls
    this) runs again.

    Args:
        study: Study from `open_study`; an upload's pixels go to its owner's session only.
        key: Key of the widget, unique on the page.
        slice_index: Slice to show; None starts in the middle and then follows the user.
        panes: Initial panes; the axial one is always shown.
        overlays: Overlays, drawn in this order.
        ribbon: Probabilities next to the axial pane.
        height: Height of the axial pane in px.
        leads: Whether `state.current_slice` becomes the slice at which the user stops, before the
            rerun.
        study_id: Id of the study in the data set, under which its marks are kept; None keeps them
            for this session only, as for an upload.
    """
    volume = study.volume
    command = viewer_place.viewer_command(key, study.fingerprint, slice_index, volume.n_slices)
    source, marked = _register(study), MarkedStudy.of(study, study_id)
    _mount()(
        key=key,
        data=_payload(study, source, panes, overlays, ribbon, height)
        | {
            "key": key,
            "goTo": {"slice": command.slice_index, "serial": command.serial},
            "marks": shown_marks(marked, key),
        },
        # Streamlit reports a state of the browser only to a callback.
        on_view_change=lambda: _follow(key) if leads else None,
        on_marks_change=lambda: take_marks(marked, key, source, viewer_place.reported_marks(key)),
    )


def _follow(key: str) -> None:
    """Adopt the slice that the user scrolled to, before the page is drawn again."""
    state.go_to_slice(viewer_place.shown_slice(key))


def _payload(
    study: OpenStudy,
    source: str,
    panes: Sequence[Pane],
    overlays: Sequence[Overlay],
    ribbon: Ribbon | None,
    height: int,
) -> dict[str, Any]:
    volume, owner = study.volume, study.owner
    grid = planes_grid(volume)
    left, right, upper, lower = edge_letters(volume)
    return {
        "path": pixels_path(),
        "proof": proof_for(owner, state.session_name()),
        "source": source,
        "shape": list(volume.hu.shape),
        "spacing": list(volume.spacing_mm),
        "zMm": np.round(volume.z_mm, 3).tolist(),
        "affine": np.round(volume.affine, 6).tolist(),
        "body": list(_BODIES.get(study.fingerprint, lambda: body_box(volume), owner=owner)),
        "letters": {"left": left, "right": right, "upper": upper, "lower": lower},
        "planes": {"shape": list(grid.shape), "spacing": list(grid.spacing_mm), "top": grid.top_mm},
        "windows": {name: list(window) for name, window in DISPLAY_WINDOWS.items()},
        "current": CURRENT,
        "panes": sum(pane != "axial" for pane in panes) + 1,
        "height": height,
        "overlays": [overlay.payload(volume, owner) for overlay in overlays],
        "ribbon": None if ribbon is None else ribbon.payload(volume),
    }


def _register(study: OpenStudy) -> str:
    volume = study.volume
    store = settings().store if study.owner is None else None
    return PIXELS.register(
        f"volume {study.fingerprint}",
        PixelSource(
            slices=lambda i: volume.hu[i],
            n_slices=volume.n_slices,
            planes=lambda: load_planes(volume, study.fingerprint, store),
            volume=volume.hu,
            owner=study.owner,
        ),
    )


@st.cache_resource(show_spinner=False)
def _mount() -> Any:  # noqa: ANN401 - Streamlit's mounting command has no public type
    return cast(Any, st.components).v2.component(
        "cspine_slice_viewer",
        html=(_FRONTEND / "viewer.html").read_text(encoding="utf-8"),
        css=(_FRONTEND / "viewer.css").read_text(encoding="utf-8"),
        js=script("moved.js")
        + "\n".join((_FRONTEND / name).read_text(encoding="utf-8") for name in _SCRIPTS),
    )
