"""Downloads of the scene."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.visualization.export import scene_glb
from core.visualization.html_page import scene_page
from core.visualization.mesh_files import stl_archive
from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import PackedParts
from dashboard.session.session_end import asking_session
from dashboard.spine_3d.surfaces import film_of, unpacked
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.frame import panel_title


def scene_files(study: OpenStudy, packed: PackedParts, info: SceneInfo) -> None:
    """Draw the download buttons; a file is written on request.

    Args:
        study: Study on show, for the CT planes of the HTML page.
        packed: Surfaces of the scene.
        info: Probabilities and boxes of the scene.
    """
    parts, volume = unpacked(packed, study.owner), study.volume
    film = partial(film_of, packed, info, session=asking_session(study.owner))
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
                f"Turntable ({ending.upper()})", partial(film, ending),
                f"spine_3d.{ending}", mime, icon=":material/360:", on_click="ignore",
                help="Rendered on the server; takes 5 to 30 s.",
            )  # fmt: skip
