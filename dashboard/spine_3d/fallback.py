"""What stands where the 3D viewer cannot: the reason, and the vertebrae drawn by Plotly."""

from __future__ import annotations

import streamlit as st

from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import PackedParts
from dashboard.spine_3d.spine_mesh import spine_mesh_figure
from dashboard.spine_3d.surfaces import unpacked


def scene_fallback(packed: PackedParts, info: SceneInfo, reason: str) -> None:
    """Say why the scene is missing and draw a simpler one.

    Args:
        packed: The surfaces.
        info: Probabilities and threshold.
        reason: The browser's words.
    """
    st.warning(
        f"The 3D viewer did not start ({reason}). Below is a simpler figure; where that stays "
        "empty too, switch on hardware acceleration or WebGL in the browser's settings. The files "
        "further down and `python -m core scene` need no browser.",
        icon=":material/view_in_ar_off:",
    )
    st.plotly_chart(
        spine_mesh_figure(unpacked(packed), info),
        key="spine_mesh",
        config={"displayModeBar": False},
        alt="Vertebrae in 3D, those at or above the threshold in amber",
    )
