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
from PIL.ImageColor import getrgb

from core.errors import SceneError
from core.system import atomic_files
from core.types import Progress
from core.visualization.colors import BONE_COLOR, DATA_COLORS, SUSPICION, VERTEBRA_COLORS
from core.visualization.plotter import SIZE, SceneLook, look_from, picture_of, scene_plotter
from core.visualization.scene_surfaces import SceneParts, read_parts

FRAMES: Final = 36
FRAMES_PER_SECOND: Final = 12
_SAMPLED: Final = 6
"""Frames that the palette of a GIF is chosen from."""
_KEPT: Final = (*DATA_COLORS.values(), *VERTEBRA_COLORS.values(), SUSPICION, BONE_COLOR, "#FFFFFF")


def turntable_frames(
    parts: SceneParts,
    look: SceneLook,
    *,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
) -> Iterator[NDArray[np.uint8]]:
    """Pictures of the vertebrae on their way once around the z axis, beginning at the front.

    Args:
        parts: The surfaces.
        look: Colours and what is shown.
        frames: How many.
        size: Width and height in pixels.

    Yields:
        uint8 (height, width, 3), RGB.

    Raises:
        SceneError: This machine cannot draw off-screen, or there is nothing to draw.
    """
    plotter = scene_plotter(parts, look, size=size)
    try:
        for k in range(frames):
            look_from(plotter, parts, 360.0 * k / frames)
            yield picture_of(plotter)
    finally:
        plotter.close()


def draw_film(request: Mapping[str, Any], progress: Progress) -> None:
    """Write a film of kept surfaces; a task for `core.system.sandbox`: VTK needs a main thread.

    Args:
        request: "surfaces" and "out", paths; "look", as by `SceneLook.to_json`.
        progress: Not reported to.

    Raises:
        SceneError: There is nothing to draw, or the surfaces cannot be read.
        StorageError: The file cannot be written.
    """
    del progress
    look = SceneLook.from_json(request["look"])
    frames = turntable_frames(read_parts(Path(request["surfaces"])), look)
    write_film(Path(request["out"]), list(frames))


def gif_bytes(frames: list[NDArray[np.uint8]]) -> bytes:
    """An endless GIF.

    Args:
        frames: uint8 (height, width, 3), RGB.
    """
    # One palette for all frames, or the background flickers.
    palette = _palette(frames)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
                for frame in frames]  # fmt: skip
    stream = io.BytesIO()
    pictures[0].save(
        stream, "GIF", save_all=True, append_images=pictures[1:], loop=0, optimize=False,
        duration=round(1000 / FRAMES_PER_SECOND),
    )  # fmt: skip
    return stream.getvalue()


def _palette(frames: list[NDArray[np.uint8]]) -> Image.Image:
    """A palette for all frames, in which the colours of lines, boxes and names keep a place.

    They cover so few pixels that the frames alone would leave them out.
    """
    step = max(len(frames) // _SAMPLED, 1)
    sample = Image.fromarray(np.concatenate(frames[::step]))
    rest = 256 - len(_KEPT)
    found = sample.quantize(rest, method=Image.Quantize.MEDIANCUT).getpalette() or []
    colors = [*found[: 3 * rest], *(value for color in _KEPT for value in getrgb(color))]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors)
    return palette


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
