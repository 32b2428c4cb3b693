"""A plotter's scene as a page for a frame of the dashboard, drawn by a process of its own."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2

from core.types import Progress
from core.visualization.plotter import SceneLook, picture_of, scene_plotter
from core.visualization.scene_surfaces import read_parts
from core.visualization.viewer_files import web_text

if TYPE_CHECKING:
    import pyvista as pv

_OUTSIDE: Final = re.compile(
    r"https://cdn\.(?:holoviz|bokeh)\.org/[^\"'\s<>\\]*?/(?:dist|release)/"
)
_ICONS: Final = re.compile(r"<link[^>]*icon[^>]*>")
_QUALITY: Final = 85


def draw_page(request: Mapping[str, Any], progress: Progress) -> int:
    """Write a page; a task for `core.system.sandbox`, because VTK and panel may hang.

    Args:
        request: "surfaces" and "out", paths; "look", see `SceneLook.to_json`; "size", width and
            height; "libraries", where the page finds panel's and bokeh's scripts.
        progress: Not reported to.

    Returns:
        Bytes of the page.

    Raises:
        SceneError: There is nothing to draw, or the surfaces cannot be read.
    """
    del progress
    parts = read_parts(Path(request["surfaces"]))
    width, height = request["size"]
    plotter = scene_plotter(parts, SceneLook.from_json(request["look"]), size=(width, height))
    try:
        page = plotter_page(plotter, request["libraries"]).encode()
    finally:
        plotter.close()
    return Path(request["out"]).write_bytes(page)


def plotter_page(plotter: pv.Plotter, libraries: str) -> str:
    """The scene as HTML, by the pane that stpyvista's panel backend shows too.

    stpyvista's own page asks other hosts for its scripts; this one asks `libraries`. Until the
    scene stands, and where it never does, the page shows a picture of it.

    Args:
        plotter: From `core.visualization.plotter.scene_plotter`.
        libraries: URL of a folder with panel's and bokeh's scripts, a slash at its end.

    Raises:
        SceneError: This machine cannot draw off-screen.
    """
    import panel as pn

    shown = cv2.cvtColor(picture_of(plotter), cv2.COLOR_RGB2BGR)
    _, picture = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    pn.extension("vtk", sizing_mode="stretch_both")
    pane: Any = pn.pane.VTK(plotter.ren_win, orientation_widget=True, sizing_mode="stretch_both")
    stream = io.StringIO()
    pane.save(stream, title="3D spine")
    page = _ICONS.sub("", _OUTSIDE.sub(libraries, stream.getvalue()))
    extra = web_text("plotter_page.html")
    extra = extra.replace(
        "<!--PICTURE-->", f"data:image/jpeg;base64,{base64.b64encode(picture.tobytes()).decode()}"
    )
    return page.replace("</head>", f"{extra}</head>", 1)
