"""One pyvista plotter of a scene: for films, files, notebooks and the second renderer."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import SceneError
from core.visualization.colors import (
    PREDICTED_BOX_COLOR,
    TRUE_BOX_COLOR,
    TRUE_LINE_COLOR,
    UNKNOWN_COLOR,
    VERTEBRA_COLORS,
)
from core.visualization.packing import vertex_normals
from core.visualization.planes import CtPlane
from core.visualization.scene_surfaces import SceneParts
from core.visualization.surfaces import Surface

if TYPE_CHECKING:
    import pyvista as pv

SIZE: Final = (448, 560)
"""Width and height in pixels."""
NEUTRAL_BONE: Final = "#CFC9BC"
REST_COLOR: Final = "#D8D2C4"
REST_OPACITY: Final = 0.16
PLANE_OPACITY: Final = 0.7
"""A vertebra that the plane crosses stays visible."""
_IN_FRONT: Final = -66_000
"""Shift in units of the depth buffer that is larger than any scene is deep."""
_BACKGROUND: Final = ("#0B1825", "#2A4258")
_VIEW_ANGLE_DEG: Final = 26.0
_EDGES: Final = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4),
                 (0, 4), (1, 5), (2, 6), (3, 7))  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class SceneLook:
    """How a scene's surfaces are drawn, and what is drawn with them.

    Attributes:
        colors: "#RRGGBB" by the name of the vertebra.
        rest: Whether the bone of no vertebra is shown, translucent.
        lines: Whether the true fracture lines are shown, where they are known.
        names: Whether pictures have each vertebra's name next to it; vtk.js leaves names out.
        planes: CT planes, each at its place.
        true_boxes: Boxes of the data set's table, each float64 (8, 3), LPS mm.
        predicted_boxes: Boxes of a localiser, likewise.
    """

    colors: Mapping[str, str]
    rest: bool = False
    names: bool = False
    planes: Sequence[CtPlane] = ()
    true_boxes: Sequence[NDArray[np.float64]] = ()
    predicted_boxes: Sequence[NDArray[np.float64]] = ()
    lines: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain values, for another process."""
        return {
            "colors": dict(self.colors),
            "rest": self.rest,
            "names": self.names,
            "lines": self.lines,
            "planes": [
                [base64.b64encode(plane.jpeg()).decode(), plane.corners.tolist()]
                for plane in self.planes
            ],
            "true_boxes": [corners.tolist() for corners in self.true_boxes],
            "predicted_boxes": [corners.tolist() for corners in self.predicted_boxes],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SceneLook:
        """The look that `to_json` wrote."""
        true_boxes, predicted_boxes = (
            [np.array(corners) for corners in values[kind]]
            for kind in ("true_boxes", "predicted_boxes")
        )
        planes = [_plane(jpeg, corners) for jpeg, corners in values["planes"]]
        return cls(
            values["colors"],
            values["rest"],
            values["names"],
            planes,
            true_boxes=true_boxes,
            predicted_boxes=predicted_boxes,
            lines=values["lines"],
        )


def scene_plotter(
    parts: SceneParts, look: SceneLook, *, size: tuple[int, int] = SIZE
) -> pv.Plotter:
    """An off-screen plotter that shows a scene from the front; the caller closes it.

    Args:
        parts: The surfaces.
        look: Colours and what is shown.
        size: Width and height in pixels.

    Raises:
        SceneError: There is no vertebra to draw.
    """
    # VTK on Linux picks X, else EGL, else OSMesa; without a display the first only complains.
    if "DISPLAY" not in os.environ:
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    import pyvista as pv

    if not parts.vertebrae:
        raise SceneError("There is no vertebra to draw; choose a study that shows the neck.")
    plotter = pv.Plotter(off_screen=True, window_size=list(size), lighting="light kit")
    cast(Any, plotter).set_background(_BACKGROUND[0], top=_BACKGROUND[1])
    for name, surface in parts.vertebrae.items():
        _add(plotter, surface, color=look.colors.get(name, NEUTRAL_BONE), specular=0.2)
    for surface in parts.fractures.values() if look.lines else ():
        # They are inside the bone, which would hide them.
        _in_front(_add(plotter, surface, color=TRUE_LINE_COLOR, lighting=False))
    if look.rest and parts.rest is not None:
        _add(plotter, parts.rest, color=REST_COLOR, opacity=REST_OPACITY)
    for plane in look.planes:
        mesh, texture = _textured(plane)
        plotter.add_mesh(mesh, texture=texture, lighting=False, opacity=PLANE_OPACITY)
    for color, boxes in (
        (TRUE_BOX_COLOR, look.true_boxes), (PREDICTED_BOX_COLOR, look.predicted_boxes)
    ):  # fmt: skip
        for corners in boxes:
            edges = plotter.add_mesh(_edges(corners), color=color, line_width=3, lighting=False)
            _in_front(edges)
    for name, surface in parts.vertebrae.items() if look.names else ():
        plotter.add_point_labels(
                np.array([surface.center]), [name], show_points=False, always_visible=True,
                font_size=13, bold=True, text_color="white", shape="rounded_rect", margin=3,
                shape_color=VERTEBRA_COLORS.get(name, UNKNOWN_COLOR), shape_opacity=1.0,
            )  # fmt: skip
    look_from(plotter, parts, 0.0)
    return plotter


def look_from(plotter: pv.Plotter, parts: SceneParts, turn_deg: float) -> None:
    """Aim the camera at the vertebrae, turned about the z axis; 0° is the patient's front.

    Args:
        plotter: From `scene_plotter`.
        parts: The surfaces it shows.
        turn_deg: Towards the patient's left.
    """
    low = np.min([s.points.min(axis=0) for s in parts.vertebrae.values()], axis=0)
    high = np.max([s.points.max(axis=0) for s in parts.vertebrae.values()], axis=0)
    center = (low + high) / 2
    plotter.camera.view_angle = _VIEW_ANGLE_DEG
    half = np.radians(_VIEW_ANGLE_DEG / 2)
    distance = float((high - low)[2]) * 1.3 / (2 * np.tan(half))
    turn = np.radians(turn_deg)
    eye = center + distance * np.array([np.sin(turn), -np.cos(turn), 0.12])
    plotter.camera_position = [tuple(eye), tuple(center), (0.0, 0.0, 1.0)]
    plotter.reset_camera_clipping_range()


def picture_of(plotter: pv.Plotter) -> NDArray[np.uint8]:
    """What a plotter shows, uint8 (height, width, 3), RGB.

    Raises:
        SceneError: This machine cannot draw off-screen.
    """
    try:
        plotter.render()
        picture: Any = plotter.screenshot(None, return_img=True)
        return np.ascontiguousarray(picture[..., :3], dtype=np.uint8)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise SceneError(
            f"This machine cannot draw 3D pictures off-screen ({error}); install Mesa's EGL or "
            "OSMesa, or use the HTML page instead."
        ) from error


def surface_mesh(surface: Surface) -> pv.PolyData:
    """A surface as pyvista's mesh with smooth normals, LPS mm."""
    import pyvista as pv

    faces = np.insert(surface.triangles.astype(np.int64), 0, 3, axis=1).ravel()
    mesh = pv.PolyData(surface.points, faces)
    mesh.point_data.active_normals = vertex_normals(surface)
    return mesh


def _add(plotter: pv.Plotter, surface: Surface, **look: Any) -> pv.Actor:  # noqa: ANN401 - pyvista's own
    return plotter.add_mesh(surface_mesh(surface), smooth_shading=True, **look)


def _in_front(actor: pv.Actor) -> None:
    """Draw an actor in front of everything, wherever it is."""
    mapper: Any = actor.mapper
    mapper.SetResolveCoincidentTopologyToPolygonOffset()
    mapper.SetRelativeCoincidentTopologyPolygonOffsetParameters(0, _IN_FRONT)
    mapper.SetRelativeCoincidentTopologyLineOffsetParameters(0, _IN_FRONT)


def _textured(plane: CtPlane) -> tuple[pv.PolyData, pv.Texture]:
    import pyvista as pv

    upper_left, upper_right, lower_left = plane.corners
    lower_right = upper_right + lower_left - upper_left
    points = np.array([lower_left, lower_right, upper_right, upper_left])
    mesh = pv.PolyData(points, np.array([4, 0, 1, 2, 3]))
    unit_square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    cast(Any, mesh).active_texture_coordinates = unit_square
    return mesh, pv.Texture(np.repeat(plane.image[..., None], 3, axis=2))


def _edges(corners: NDArray[np.float64]) -> pv.PolyData:
    import pyvista as pv

    return pv.PolyData(corners, lines=np.array([(2, a, b) for a, b in _EDGES]).ravel())


def _plane(jpeg: str, corners: list[list[float]]) -> CtPlane:
    content = np.frombuffer(base64.b64decode(jpeg), np.uint8)
    image = np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), np.uint8)
    return CtPlane(image, np.array(corners))
