"""The viewer on a page: its data for the browser, and the state that the browser reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import streamlit as st

from core.constants import DISPLAY_WINDOWS
from core.prepared.planes import load_planes, planes_grid
from core.types import CTVolume
from dashboard.session import state, viewer_place
from dashboard.session.settings import settings
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.served_bytes import PIXELS, PixelSource, proof_for
from dashboard.studies.slice_image import edge_letters
from dashboard.widgets.palette import CURRENT
from dashboard.widgets.slice_viewer.overlays import Overlay
from dashboard.widgets.slice_viewer.ribbon import Ribbon
from dashboard.widgets.slice_viewer.routes import pixels_path

Pane = Literal["axial", "sagittal", "coronal"]

_FRONTEND: Final = Path(__file__).resolve().parent / "frontend"
_SCRIPTS: Final = (
    "windowing.js", "pixels.js", "geometry.js", "layers.js", "hud.js", "pane.js", "gestures.js",
    "ribbon.js", "toolbar.js", "viewer.js",
)  # fmt: skip
"""One module in the browser, in this order; `viewer.js` exports what Streamlit calls."""


@dataclass(frozen=True, slots=True)
class ViewerState:
    """Slice on show and last click.

    Attributes:
        slice_index: Slice on show.
        clicked_voxel: (z, y, x) of the last click, z a slice index; None before the first.
        clicked_lps: The same point in DICOM LPS mm (x, y, z).
    """

    slice_index: int
    clicked_voxel: tuple[int, int, int] | None
    clicked_lps: tuple[float, float, float] | None


def slice_viewer(
    study: OpenStudy,
    *,
    key: str,
    slice_index: int | None = None,
    panes: Sequence[Pane] = ("axial",),
    overlays: Sequence[Overlay] = (),
    ribbon: Ribbon | None = None,
    height: int = 560,
    on_change: Callable[[], None] | None = None,
) -> ViewerState:
    """Show a study; scrolling and windowing happen in the browser without a rerun.

    When the user stops at another slice or clicks a point, the page (or the fragment that calls
    this) runs again with the new state. Pass the `slice_index` that was returned to stay there;
    pass another one to go there.

    Args:
        study: Study from `open_study`; an upload's pixels go to its owner's session only.
        key: Key of the widget, unique on the page.
        slice_index: Slice to show; None starts in the middle and then follows the user.
        panes: Initial panes; the axial one is always shown.
        overlays: Overlays, drawn in this order.
        ribbon: Probabilities next to the axial pane.
        height: Height of the axial pane in px.
        on_change: Called before the rerun that a change in the viewer causes; `viewer_state`
            gives the new state.
    """
    volume = study.volume
    command = viewer_place.viewer_command(key, study.fingerprint, slice_index, volume.n_slices)
    _mount()(
        key=key,
        data=_payload(study, panes, overlays, ribbon, height)
        | {"key": key, "goTo": {"slice": command.slice_index, "serial": command.serial}},
        on_view_change=on_change or _nothing,
    )
    return viewer_state(key, volume)


def viewer_state(key: str, volume: CTVolume) -> ViewerState:
    """State of a viewer that was shown in this session."""
    seen = viewer_place.viewer_report(key)
    voxel = seen.clicked_voxel
    if voxel is None or any(not 0 <= v < n for v, n in zip(voxel, volume.hu.shape, strict=True)):
        return ViewerState(seen.slice_index, None, None)
    x, y, z = (volume.affine @ np.array([*voxel, 1.0]))[:3]
    return ViewerState(seen.slice_index, voxel, (float(x), float(y), float(z)))


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
        js="\n".join((_FRONTEND / name).read_text(encoding="utf-8") for name in _SCRIPTS),
    )


def _nothing() -> None:
    """Streamlit reports a state of the browser only to a callback."""
