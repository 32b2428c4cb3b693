"""Downloads of the scene."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.types import CTVolume
from core.visualization.export import scene_glb
from core.visualization.html_page import scene_page
from core.visualization.mesh_files import stl_archive
from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import PackedParts
from dashboard.spine_3d.surfaces import film_of, unpacked
from dashboard.widgets.frame import panel_title


def scene_files(packed: PackedParts, info: SceneInfo, volume: CTVolume) -> None:
    """Draw the download buttons; a file is written on request.

    Args:
        packed: Surfaces of the scene.
        info: Probabilities and boxes of the scene.
        volume: Volume of the study, for the CT planes of the HTML page.
    """
    parts = unpacked(packed)
    panel_title(
        "Download",
        "the HTML page contains the whole scene and works offline; GLB and STL are for other 3D "
        "programs (LPS, mm in STL)",
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
                help="Rendered on the server; takes 5 to 30 s.",
            )  # fmt: skip
