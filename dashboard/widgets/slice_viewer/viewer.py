"""The viewer on a page: its data for the browser, and the state that the browser reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import streamlit as st

from core.constants import DISPLAY_WINDOWS
from core.prepared.planes import load_planes, planes_grid
from dashboard.session import state, viewer_place
from dashboard.session.settings import settings
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.served_bytes import PIXELS, PixelSource, proof_for
from dashboard.studies.slice_image import body_box, edge_letters
from dashboard.widgets.palette import CURRENT
from dashboard.widgets.slice_viewer.overlays import Overlay
from dashboard.widgets.slice_viewer.ribbon import Ribbon
from dashboard.widgets.slice_viewer.routes import pixels_path
from dashboard.widgets.threshold_slider.slider import script

Pane = Literal["axial", "sagittal", "coronal"]

_FRONTEND: Final = Path(__file__).resolve().parent / "frontend"
_SCRIPTS: Final = (
    "windowing.js", "pixels.js", "geometry.js", "layers.js", "hud.js", "pane.js", "gestures.js",
    "ribbon.js", "toolbar.js", "viewer.js",
)  # fmt: skip
"""One module in the browser, after `moved.js` and in this order; `viewer.js` exports what Streamlit
calls."""


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
    """
    volume = study.volume
    command = viewer_place.viewer_command(key, study.fingerprint, slice_index, volume.n_slices)
    _mount()(
        key=key,
        data=_payload(study, panes, overlays, ribbon, height)
        | {"key": key, "goTo": {"slice": command.slice_index, "serial": command.serial}},
        # Streamlit reports a state of the browser only to a callback.
        on_view_change=lambda: _follow(key) if leads else None,
    )


def _follow(key: str) -> None:
    """Adopt the slice that the user scrolled to, before the page is drawn again."""
    state.go_to_slice(viewer_place.shown_slice(key))


def _payload(
    study: OpenStudy,
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
        "source": _register(study),
        "shape": list(volume.hu.shape),
        "spacing": list(volume.spacing_mm),
        "zMm": np.round(volume.z_mm, 3).tolist(),
        "affine": np.round(volume.affine, 6).tolist(),
        "body": list(body_box(volume)),
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
