"""HTTP routes for surfaces, values and CT planes of the 3D scene, and for vtk.js."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.constants import DISPLAY_WINDOWS
from core.errors import SceneError
from core.types import CTVolume, HuWindow
from core.visualization.planes import CtPlane, axial_plane, upright_plane
from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import PackedParts
from core.visualization.viewer_files import library_gzipped, vtk_js_name
from dashboard.session.urls import path_of, slice_number
from dashboard.studies.served_bytes import (
    ServedBytes,
    answer,
    no_content,
    nothing_else_below,
    packed_answer,
)

CORNERS_HEADER: Final = "x-plane-corners"
_BONE: Final = HuWindow(*DISPLAY_WINDOWS["bone"])
ANSWER_WITHIN_S: Final = 8.0
"""The browser repeats a request after this, so that no proxy ends it."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedScene:
    """The part of a scene that does not depend on scores.

    Attributes:
        surfaces: Future surfaces of the vertebrae.
        volume: Volume that CT planes are cut from.
        owner: The only session that may read it; None if every session of this server may.
    """

    surfaces: Future[PackedParts]
    volume: CTVolume
    owner: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ServedInfo:
    """Probabilities and boxes of a scene, which wait for its surfaces.

    Attributes:
        surfaces: Future surfaces of the vertebrae.
        make: Returns the values from the surfaces.
        owner: As for `ServedScene`.
    """

    surfaces: Future[PackedParts]
    make: Callable[[PackedParts], SceneInfo]
    owner: str | None = None


SCENES: Final = ServedBytes[ServedScene]("scene", 6, 64 << 20)
INFOS: Final = ServedBytes[ServedInfo]("scene info", 64, 16 << 20)


def scenes_path() -> str:
    """Path of all scenes, without a trailing slash."""
    return path_of("scenes")


def vtk_js_path() -> str:
    """vtk.js below `scenes_path`, with its version: browsers keep it for a year."""
    try:
        return f"libraries/{vtk_js_name()}"
    except SceneError:
        # The browser finds nothing there and the page reports it.
        return "libraries/vtk.js"


def scene_routes() -> list[Route]:
    """Routes for `st.App`; each request is answered in a separate thread."""
    path = scenes_path()
    return [
        Route(path + "/{name}/parts", _parts),
        Route(path + "/info/{name}", _info),
        Route(path + "/libraries/{name:path}", _library),
        Route(path + "/{name}/axial", _axial),
        Route(path + "/{name}/upright", _upright),
        *nothing_else_below(path),
    ]


async def _parts(request: Request) -> Response:
    return await _once_made(
        SCENES, request, lambda _, packed: packed.payload, "application/octet-stream"
    )


async def _info(request: Request) -> Response:
    def values(info: ServedInfo, packed: PackedParts) -> bytes:
        text = json.dumps(info.make(packed).to_json(), allow_nan=False, separators=(",", ":"))
        return text.encode()

    return await _once_made(INFOS, request, values, "application/json")


def _library(request: Request) -> Response:
    try:
        content, media_type = library_gzipped(request.path_params["name"])
    except SceneError:
        return no_content()
    return packed_answer(content, None, media_type)


async def _once_made(
    registry: ServedBytes[Any],
    request: Request,
    content: Callable[[Any, PackedParts], bytes],
    media_type: str,
) -> Response:
    """The content; 202 while it is being made, 503 if that failed: the page shows the reason."""
    name, source = registry.requested(request)
    if source is None:
        return no_content()
    coming: Future[PackedParts] = source.surfaces
    if not coming.done():
        await asyncio.wait({asyncio.wrap_future(coming)}, timeout=ANSWER_WITHIN_S)
    if not coming.done():
        return no_content(202)
    if coming.cancelled() or coming.exception() is not None:
        return no_content(503)
    packed = await asyncio.to_thread(
        registry.packed, name, "", lambda: content(source, coming.result())
    )
    return packed_answer(packed, source.owner, media_type)


def _axial(request: Request) -> Response:
    _, scene = SCENES.requested(request)
    n_slices = 0 if scene is None else scene.volume.n_slices
    index = slice_number(request.query_params.get("slice", ""), n_slices)
    if scene is None or index is None:
        return no_content()
    return _picture(axial_plane(scene.volume, index, _BONE), scene.owner)


def _upright(request: Request) -> Response:
    _, scene = SCENES.requested(request)
    asked = {"half": "1000"} | dict(request.query_params)
    values = [_number(asked.get(name, "")) for name in ("x", "y", "z", "turn", "cut", "half")]
    if scene is None or None in values:
        return no_content()
    x, y, z, turn, cut, half = (float(value or 0.0) for value in values)
    angle = math.radians(turn)
    center = np.array([x + cut * math.cos(angle), y - cut * math.sin(angle), z])
    half = max(half, 1.0)
    plane = upright_plane(scene.volume, center, turn, _BONE, half_width_mm=half)
    return _picture(plane, scene.owner)


def _number(text: str) -> float | None:
    """A finite number of a plausible size; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= 10_000 else None


def _picture(plane: CtPlane, owner: str | None) -> Response:
    corners = json.dumps(np.round(plane.corners, 2).tolist())
    return answer(plane.jpeg(), owner, "image/jpeg", {CORNERS_HEADER: corners})
