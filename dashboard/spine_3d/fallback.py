"""Replacement for a 3D viewer that does not start: the reason, and the second renderer."""

from __future__ import annotations

import streamlit as st

from core.types import CTVolume
from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import PackedParts
from dashboard.spine_3d.second_renderer import second_renderer


def scene_fallback(packed: PackedParts, info: SceneInfo, volume: CTVolume, reason: str) -> None:
    """Show why the viewer did not start, and draw the scene with PyVista.

    Args:
        packed: The surfaces.
        info: Probabilities and threshold.
        volume: The series.
        reason: The browser's words.
    """
    st.warning(
        f"The 3D viewer did not start ({reason}). PyVista draws the scene below; a browser without "
        "WebGL shows a still picture of it. To get the viewer, switch on hardware acceleration or "
        "WebGL in the browser's settings. The files further down and `python -m core scene` need "
        "no browser.",
        icon=":material/view_in_ar_off:",
    )
    second_renderer(packed, info, volume, always=True)
