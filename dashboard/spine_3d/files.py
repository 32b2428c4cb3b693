"""The scene as files to take away."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.types import CTVolume
from core.visualization.html_page import scene_page
from core.visualization.mesh_files import glb_bytes, stl_archive
from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import PackedParts, SceneParts
from dashboard.spine_3d.surfaces import film_of, unpacked

_BONE = "#E3D9C3"


def scene_files(packed: PackedParts, info: SceneInfo, volume: CTVolume) -> None:
    """Buttons that write a file when they are pressed.

    Args:
        packed: The surfaces.
        info: What the scene says.
        volume: The series, for the CT planes of the page.
    """
    parts = unpacked(packed)
    st.html(
        '<div class="lab-panel-title">Take it along<span>the HTML page holds the whole scene and '
        "opens without a network; GLB and STL go to other 3D programs (LPS, mm in STL)</span></div>"
    )
    with st.container(horizontal=True, key="scene_files"):
        st.download_button(
            "HTML page", lambda: scene_page(packed, info, volume), "spine_3d.html", "text/html",
            icon=":material/web:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "GLB", lambda: scene_glb(parts, info), "spine_3d.glb", "model/gltf-binary",
            icon=":material/deployed_code:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "STL (zip)", lambda: stl_archive(parts.surfaces), "spine_3d_stl.zip",
            "application/zip", icon=":material/folder_zip:", on_click="ignore",
        )  # fmt: skip
        for ending, mime in (("gif", "image/gif"), ("mp4", "video/mp4")):
            st.download_button(
                f"Turntable ({ending.upper()})", partial(film_of, packed, info, ending),
                f"spine_3d.{ending}", mime, icon=":material/360:", on_click="ignore",
                help="Drawn on the server without a display; takes 5 to 30 s.",
            )  # fmt: skip


def scene_glb(parts: SceneParts, info: SceneInfo) -> bytes:
    """GLB with the levels' colours."""
    colors = {name: _BONE for name in parts.vertebrae} | {lv.name: lv.color for lv in info.levels}
    return glb_bytes(parts.surfaces, colors, translucent=("other bone",))
