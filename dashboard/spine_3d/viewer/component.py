"""One adapter between a scene on the server and the viewer in the browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import streamlit as st

from core.visualization.viewer_files import web_text
from dashboard.spine_3d.routes import scenes_path, vtk_js_name

TIME_LIMIT_S: Final = 20
"""After which the browser gives up drawing surfaces that it has; the page shows the fallback."""
BUILD_LIMIT_S: Final = 90
"""After which it waits no longer for surfaces that are being built."""

_HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class SceneEvents:
    """What the viewer reported.

    Attributes:
        drawn: Whether the scene stands on the screen.
        failed: Why it does not, in the browser's words; None where it does or is on its way.
        chosen: The vertebra last clicked; None before.
    """

    drawn: bool
    failed: str | None
    chosen: str | None

    @property
    def settled(self) -> bool:
        """Whether the browser is done with the scene, one way or the other."""
        return self.drawn or self.failed is not None


def scene_3d(
    scene: str,
    info: str,
    *,
    proof: str,
    built: bool,
    threshold: float,
    key: str,
    on_threshold: Callable[[], None],
) -> SceneEvents:
    """Show a scene that `dashboard.spine_3d.routes` serves.

    What a rerun hands over is two names and the threshold; the browser fetches everything else
    once, by name.

    Args:
        scene: Name of its `ServedScene`.
        info: Name of its `ServedInfo`.
        proof: What the browser sends along to prove that it may read them.
        built: Whether the surfaces are there, so that no wait need be shown.
        threshold: From which a vertebra counts as fractured.
        key: Of the component; its state holds "threshold" once the reader has moved it.
        on_threshold: Called when the reader moved it.
    """
    result = _component()(
        key=key,
        data={
            "base": scenes_path(),
            "vtk": vtk_js_name(),
            "scene": scene,
            "info": info,
            "proof": proof,
            "threshold": threshold,
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
    """A state value needs a callback to be reported."""
