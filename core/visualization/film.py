"""Off-screen pictures and turntable films of a scene, without a display."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import SceneError
from core.system import atomic_files
from core.visualization.packing import vertex_normals
from core.visualization.scene_surfaces import SceneParts
from core.visualization.surfaces import Surface

FRAMES: Final = 36
FRAMES_PER_SECOND: Final = 12
SIZE: Final = (448, 560)
"""Width and height in pixels."""
LINE_COLOR: Final = "#F2187B"
_BACKGROUND: Final = ("#0B1825", "#2A4258")


def turntable_frames(
    parts: SceneParts,
    colors: Mapping[str, str],
    *,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
) -> Iterator[NDArray[np.uint8]]:
    """Pictures of the vertebrae on their way once around the z axis, beginning at the front.

    Args:
        parts: The surfaces.
        colors: "#RRGGBB" by the name of the vertebra.
        frames: How many.
        size: Width and height in pixels.

    Yields:
        uint8 (height, width, 3), RGB.

    Raises:
        SceneError: This machine cannot draw off-screen, or there is nothing to draw.
    """
    # VTK on Linux picks X, else EGL, else OSMesa; without a display the first only complains.
    if "DISPLAY" not in os.environ:
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    import pyvista as pv

    if not parts.vertebrae:
        raise SceneError("There is no vertebra to film; choose a study that shows the neck.")
    plotter = pv.Plotter(off_screen=True, window_size=list(size), lighting="light kit")
    try:
        cast(Any, plotter).set_background(_BACKGROUND[0], top=_BACKGROUND[1])
        for name, surface in parts.vertebrae.items():
            _add(plotter, surface, color=colors.get(name, "#CFC9BC"), specular=0.2)
        for surface in parts.fractures.values():
            _add(plotter, surface, color=LINE_COLOR, lighting=False)
        low = np.min([s.points.min(axis=0) for s in parts.vertebrae.values()], axis=0)
        high = np.max([s.points.max(axis=0) for s in parts.vertebrae.values()], axis=0)
        center = (low + high) / 2
        plotter.camera.view_angle = 26.0
        distance = float((high - low)[2]) * 1.3 / (2 * np.tan(np.radians(13.0)))
        for k in range(frames):
            turn = 2 * np.pi * k / frames
            eye = center + distance * np.array([np.sin(turn), -np.cos(turn), 0.12])
            plotter.camera_position = [tuple(eye), tuple(center), (0.0, 0.0, 1.0)]
            plotter.reset_camera_clipping_range()
            plotter.render()
            picture: Any = plotter.screenshot(None, return_img=True)
            yield np.ascontiguousarray(picture[..., :3], dtype=np.uint8)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise SceneError(
            f"This machine cannot draw 3D pictures off-screen ({error}); install Mesa's EGL or "
            "OSMesa, or use the HTML page instead."
        ) from error
    finally:
        plotter.close()


def gif_bytes(frames: list[NDArray[np.uint8]]) -> bytes:
    """An endless GIF.

    Args:
        frames: uint8 (height, width, 3), RGB.
    """
    # One palette for all frames, or the background flickers.
    first = Image.fromarray(frames[0]).quantize(128, method=Image.Quantize.MEDIANCUT)
    pictures = [Image.fromarray(frame).quantize(palette=first, dither=Image.Dither.NONE)
                for frame in frames]  # fmt: skip
    stream = io.BytesIO()
    pictures[0].save(
        stream, "GIF", save_all=True, append_images=pictures[1:], loop=0, optimize=False,
        duration=round(1000 / FRAMES_PER_SECOND),
    )  # fmt: skip
    return stream.getvalue()


def write_film(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    """Write frames as `.gif` or `.mp4` (VP9, which browsers and VLC play).

    Args:
        path: Its ending chooses the format.
        frames: uint8 (height, width, 3), RGB.

    Raises:
        SceneError: The ending is another, or this build of OpenCV writes no film.
        StorageError: The file cannot be written.
    """
    if path.suffix == ".gif":
        atomic_files.write_bytes(path, gif_bytes(frames))
        return
    if path.suffix != ".mp4":
        raise SceneError(f"{path.name}: films are written as .gif or .mp4; choose one of them.")
    height, width = frames[0].shape[:2]
    with atomic_files.atomic_path(path) as temporary:
        for code in ("vp09", "mp4v"):
            fourcc = cv2.VideoWriter.fourcc(*code)
            writer = cv2.VideoWriter(str(temporary), fourcc, FRAMES_PER_SECOND, (width, height))
            if writer.isOpened():
                break
        else:
            raise SceneError("This build of OpenCV writes no MP4; ask for a GIF.")
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
        writer.release()


def _add(plotter: Any, surface: Surface, **look: Any) -> None:  # noqa: ANN401 - pyvista's own
    import pyvista as pv

    faces = np.insert(surface.triangles.astype(np.int64), 0, 3, axis=1).ravel()
    mesh = pv.PolyData(surface.points, faces)
    mesh.point_data.active_normals = vertex_normals(surface)
    plotter.add_mesh(mesh, smooth_shading=True, **look)
