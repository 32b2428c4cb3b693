"""The scene as a Plotly figure, for browsers in which the viewer cannot start."""

from __future__ import annotations

from typing import Any, Final, cast

import fast_simplification
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import SceneParts
from core.visualization.surfaces import Surface
from dashboard.widgets.palette import NEUTRAL, SUSPICION

HEIGHT: Final = 560
_TRIANGLES: Final = 1500
"""A vertebra; the figure travels as JSON, so it stays small."""
_BONE: Final = "#DED3BA"


def spine_mesh_figure(parts: SceneParts, info: SceneInfo) -> go.Figure:
    """Draw the vertebrae, those at or above the threshold in the colour of suspicion.

    Args:
        parts: The surfaces.
        info: Probabilities and threshold.
    """
    probs = {level.name: level.prob for level in info.levels}
    figure = go.Figure()
    for name, surface in parts.vertebrae.items():
        prob = probs.get(name)
        called = prob is not None and prob >= info.threshold
        color = SUSPICION if called else NEUTRAL if prob is None else _BONE
        said = "not judged" if prob is None else f"p {prob:.3f}"
        figure.add_trace(_mesh(surface, color, f"{name}: {said}"))
    for surface in parts.fractures.values():
        figure.add_trace(_mesh(surface, "#F2187B", f"true fracture lines of {surface.name}"))
    hidden = {"visible": False}
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        uirevision="steady",
        scene={
            "aspectmode": "data",
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "camera": {"eye": {"x": 0.9, "y": -1.2, "z": 0.35}},
        },
    )
    return figure


def _mesh(surface: Surface, color: str, text: str) -> go.Mesh3d:
    points, triangles = surface.points, surface.triangles
    if len(triangles) > _TRIANGLES:
        middle = points.mean(axis=0)
        found = fast_simplification.simplify(points - middle, triangles, target_count=_TRIANGLES)
        kept, fewer = cast(tuple[NDArray[Any], NDArray[Any]], found)
        points, triangles = np.asarray(kept) + middle, np.asarray(fewer)
    x, y, z = np.round(points, 2).T
    i, j, k = triangles.T
    return go.Mesh3d(
        x=x, y=y, z=z, i=i, j=j, k=k, color=color, name=text, hoverinfo="name",
        lighting={"ambient": 0.45, "diffuse": 0.8, "specular": 0.15},
    )  # fmt: skip
