"""The scene in PyVista and stpyvista: on request, or if the viewer does not start."""

from __future__ import annotations

import hashlib
import json
import time
from importlib.util import find_spec
from typing import Any, Final, cast

import streamlit as st

from core.constants import DISPLAY_WINDOWS
from core.types import CTVolume, HuWindow
from core.visualization.export import shown_colors
from core.visualization.planes import axial_plane
from core.visualization.plotter import SceneLook
from core.visualization.plotter_page import draw_page
from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import PackedParts
from dashboard.background.budget import PYVISTA_PAGES
from dashboard.background.job import Job, Wish
from dashboard.background.thread_jobs import JobPool
from dashboard.session import state
from dashboard.session.session_end import whose
from dashboard.spine_3d.routes import scenes_path
from dashboard.spine_3d.surfaces import draw
from dashboard.studies.on_screen import wish_for
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.frame import blank
from dashboard.widgets.job_status import failed, poll
from dashboard.widgets.notices import show_error

TIME_LIMIT_S: Final = 90.0
"""For one page; the first one also starts a process, which takes 5 to 10 s."""
HEIGHT: Final = 620
_SIZE: Final = (900, HEIGHT)
_POLL_SECONDS: Final = 1.5
_OPEN: Final = "second_renderer"
_BONE: Final = HuWindow(*DISPLAY_WINDOWS["bone"])
_FORMAT: Final = 1
_FRAME_HTML: Final = (
    '<div id="stpyvistadiv"><iframe id="stpyvistaframe" frameborder="0" allowfullscreen>'
    "</iframe></div>"
)
"""Elements that stpyvista's script requires."""


@st.fragment
def second_renderer(
    study: OpenStudy, packed: PackedParts, info: SceneInfo, *, failure: str | None = None
) -> None:
    """Draw a button that opens the scene in PyVista, and the scene once it is open.

    The page is drawn once per scene and set of fractured vertebrae; a rerun with the same page
    sends nothing again and keeps the camera.

    Args:
        study: Study on show, for the axial plane.
        packed: Surfaces of the scene.
        info: Probabilities, boxes and threshold.
        failure: Why the viewer did not start, in the browser's words; the scene is then open
            without the button.
    """
    opened = state.recall(_OPEN) == packed.key
    if failure is not None:
        st.warning(
            f"The 3D viewer did not start ({failure}). PyVista draws the scene below; a browser "
            "without WebGL shows a still picture of it. To get the viewer, switch on hardware "
            "acceleration or WebGL in the browser's settings. The files further down and "
            "`python -m core scene` need no browser.",
            icon=":material/view_in_ar_off:",
        )
    else:
        st.button(
            "Close the PyVista view" if opened else "Open in PyVista",
            key="second_renderer_button", icon=":material/view_in_ar:",
            on_click=state.remember, args=(_OPEN, None if opened else packed.key),
            help="The same scene, drawn by PyVista and shown by stpyvista, without the controls.",
        )  # fmt: skip
    if opened or failure is not None:
        _view(study, packed, info)


def look_of(info: SceneInfo, volume: CTVolume) -> SceneLook:
    """Contents of the second renderer: surfaces, names, boxes and the first axial plane."""
    return SceneLook(
        shown_colors(info),
        rest=True,
        names=True,
        lines=info.has_lines,
        planes=[axial_plane(volume, info.start_slice, _BONE)],
        true_boxes=info.true_boxes,
        predicted_boxes=info.predicted_boxes,
    )


def page_job(
    packed: PackedParts, look: SceneLook, owner: str | None = None, wish: Wish | None = None
) -> Job[str]:
    """Job that draws the page of a scene; a failed job is kept until it is forgotten.

    Args:
        packed: Surfaces of the scene.
        look: What is drawn of it.
        owner: The only session that may see the study; None if every session may.
        wish: As for `JobPool.submit`.
    """
    values = look.to_json()
    content = json.dumps([_FORMAT, owner, packed.key, values, scenes_path()], sort_keys=True)
    key = hashlib.sha256(content.encode()).hexdigest()
    known = _pool().find(key)
    if known is not None and known.finished:
        return known
    return _pool().submit(key, lambda _: _drawn(packed, values), **whose(owner), wish=wish)


def _view(study: OpenStudy, packed: PackedParts, info: SceneInfo) -> None:
    if find_spec("stpyvista") is None:
        show_error("The package stpyvista is not installed; run `make setup` to add it.")
        return
    wish = wish_for(study, "page")
    job = page_job(packed, look_of(info, study.volume), study.owner, wish)
    if failed(job, icon=":material/view_in_ar_off:", key="second_renderer_again"):
        return
    if job.finished:
        _frame(job.future.result())
    else:
        poll(lambda: _waits(job), every=_POLL_SECONDS)


def _waits(job: Job[str]) -> bool:
    if job.finished:
        return False
    began = job.started
    waited = "" if began is None else f" – {time.monotonic() - began:.0f} s"
    blank(f"PyVista is drawing the scene{waited} …")
    return True


def _frame(page: str) -> None:
    # stpyvista() itself would export the scene again at every rerun, and importing it blocks the
    # server for seconds; Streamlit has registered its component from its manifest.
    component = cast(Any, st.components).v2.component(
        "stpyvista.simple", html=_FRAME_HTML, js="v2/stpyvista.js", css="v2/style.css"
    )
    data = {"_html": page, "backend": "panel", "height": HEIGHT, "width": "stretch",
            "use_container_width": True}  # fmt: skip
    component(key="second_renderer", data=data)


def _drawn(packed: PackedParts, look: dict[str, Any]) -> str:
    libraries = f"{scenes_path()}/libraries/"
    page = draw(
        draw_page, packed, "page.html", TIME_LIMIT_S, look=look, size=_SIZE, libraries=libraries
    )
    return page.decode()


@st.cache_resource(show_spinner=False)
def _pool() -> JobPool:
    """Pool with the pages of the last scenes: about 2 MB each."""
    return JobPool("pyvista", PYVISTA_PAGES, keep=8)
