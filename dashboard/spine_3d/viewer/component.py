"""Streamlit component that shows a scene of the server in the viewer in the browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import streamlit as st

from core.visualization.viewer_files import web_text
from dashboard.spine_3d.routes import scenes_path, vtk_js_path

TIME_LIMIT_S: Final = 20
"""Time for the browser to draw surfaces that it has; then the page shows the fallback."""
BUILD_LIMIT_S: Final = 90
"""Time for the browser to wait for surfaces that are being built."""

_HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class SceneEvents:
    """Report of the viewer.

    Attributes:
        drawn: Whether the scene is on the screen.
        failed: Reason of a failure, from the browser; None without one.
        chosen: The vertebra last clicked; None before the first click.
    """

    drawn: bool
    failed: str | None
    chosen: str | None

    @property
    def settled(self) -> bool:
        """Whether the browser has drawn the scene or failed."""
        return self.drawn or self.failed is not None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Vertebra that the viewer has to choose; it follows each serial number once.

    Attributes:
        name: Its name; None for none.
        serial: Number of the request; 0 before the first.
    """

    name: str | None
    serial: int


def scene_3d(
    scene: str,
    info: str,
    *,
    proof: str,
    built: bool,
    threshold: float,
    wanted: Wanted,
    key: str,
    on_threshold: Callable[[], None],
) -> SceneEvents:
    """Show a scene that `dashboard.spine_3d.routes` serves.

    A rerun sends two names and the threshold; the browser fetches everything else once, by name.

    Args:
        scene: Name of the `ServedScene`.
        info: Name of the `ServedInfo`.
        proof: Header value that proves that the browser may read them.
        built: Whether the surfaces are ready, so that no wait is shown.
        threshold: Vertebra threshold.
        wanted: Vertebra to choose.
        key: Key of the component; its state has "threshold" once the user has moved it.
        on_threshold: Called when the user has moved the threshold.
    """
    result = _component()(
        key=key,
        data={
            "base": scenes_path(),
            "vtk": vtk_js_path(),
            "scene": scene,
            "info": info,
            "proof": proof,
            "threshold": threshold,
            "wanted": [wanted.name, wanted.serial],
            "built": built,
            "limit_s": TIME_LIMIT_S,
            "build_limit_s": BUILD_LIMIT_S,
        },
        default={"drawn": "", "failed": "", "chosen": None, "threshold": None},
        on_drawn_change=_nothing,
        on_failed_change=_nothing,
        on_chosen_change=_nothing,
        on_threshold_change=on_threshold,
    )
    failed = str(result.failed or "")
    return SceneEvents(
        drawn=result.drawn == scene,
        failed=failed.removeprefix(scene).strip() if failed.startswith(scene) else None,
        chosen=result.chosen,
    )


def _component() -> Callable[..., Any]:
    return cast(Any, st.components).v2.component(
        "scene_3d",
        html=web_text("scene.html"),
        css=web_text("scene.css"),
        js=web_text("scene_viewer.js") + (_HERE / "component.js").read_text(encoding="utf-8"),
    )


def _nothing() -> None:
    """Streamlit reports a state of the browser only to a callback."""
