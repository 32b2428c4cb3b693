"""Off-screen pictures and turntable films of a scene, without a display."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import SceneError
from core.system import atomic_files
from core.types import Progress
from core.visualization.plotter import SIZE, SceneLook, look_from, picture_of, scene_plotter
from core.visualization.scene_surfaces import SceneParts, read_parts

FRAMES: Final = 36
FRAMES_PER_SECOND: Final = 12


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
    plotter = scene_plotter(parts, SceneLook(colors), size=size)
    try:
        for k in range(frames):
            look_from(plotter, parts, 360.0 * k / frames)
            yield picture_of(plotter)
    finally:
        plotter.close()


def draw_film(request: Mapping[str, Any], progress: Progress) -> None:
    """Write a film of kept surfaces; a task for `core.system.sandbox`: VTK needs a main thread.

    Args:
        request: "surfaces" and "out", paths; "colors", "#RRGGBB" by the name of the vertebra.
        progress: Not reported to.

    Raises:
        SceneError: There is nothing to draw, or the surfaces cannot be read.
        StorageError: The file cannot be written.
    """
    del progress
    frames = turntable_frames(read_parts(Path(request["surfaces"])), request["colors"])
    write_film(Path(request["out"]), list(frames))


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
