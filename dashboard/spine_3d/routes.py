"""HTTP beside the pages: surfaces, values and CT planes of the 3D scene, and vtk.js."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Final, Generic, TypeVar

import numpy as np
import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.constants import DISPLAY_WINDOWS
from core.errors import SceneError
from core.types import CTVolume, HuWindow
from core.visualization.planes import CtPlane, axial_plane, upright_plane
from core.visualization.scene import SceneInfo
from core.visualization.scene_surfaces import PackedParts
from core.visualization.viewer_files import vtk_js_digest, vtk_js_gzipped
from dashboard.background.futures import then

Kept = TypeVar("Kept")
CORNERS_HEADER: Final = "x-plane-corners"
_BONE: Final = HuWindow(*DISPLAY_WINDOWS["bone"])
_YEAR: Final = 365 * 24 * 3600
_QUICK: Final = 1
"""Level of gzip: 6 would take twice as long for one per cent."""
ANSWER_WITHIN_S: Final = 8.0
"""What is not made by then is asked for again, so that no proxy gives the request up."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedScene:
    """The part of a scene that a network's opinion does not change.

    Attributes:
        parts: Packed surfaces, gzip-compressed, once they are built.
        volume: The series that CT planes are cut from.
    """

    parts: Future[bytes]
    volume: CTVolume


class Shelf(Generic[Kept]):
    """What is served at the moment, by names that cannot be guessed; the oldest goes first."""

    def __init__(self, most: int) -> None:
        self._secret = secrets.token_bytes(32)
        self._most = most
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lock = Lock()

    def put(self, content: str, make: Callable[[], Kept]) -> str:
        """Serve a thing and return its name, the same for the same content.

        Args:
            content: Digest of all it holds.
            make: Called where it is not served already.
        """
        token = hmac.new(self._secret, content.encode(), hashlib.sha256).hexdigest()[:40]
        if self.find(token) is None:
            made = make()
            with self._lock:
                self._kept[token] = made
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return token

    def drop(self, token: str) -> None:
        """Serve a thing no longer."""
        with self._lock:
            self._kept.pop(token, None)

    def find(self, token: str) -> Kept | None:
        """The thing of this name, if it is still served."""
        with self._lock:
            if token in self._kept:
                self._kept.move_to_end(token)
            return self._kept.get(token)


SCENES: Final[Shelf[ServedScene]] = Shelf(6)
INFOS: Final[Shelf[Future[bytes]]] = Shelf(64)


def serve_scene(key: str, parts: Future[PackedParts], volume: CTVolume) -> str:
    """Serve surfaces, which may be on their way, and the planes of their series.

    Args:
        key: Digest of all that the surfaces are made from.
        parts: The surfaces.
        volume: The series.

    Returns:
        The scene's name.
    """

    def make() -> ServedScene:
        return ServedScene(then(parts, lambda packed: _packed(packed.payload)), volume)

    token = SCENES.put(key, make)
    known = SCENES.find(token)
    if known is not None and _failed(known.parts):
        SCENES.drop(token)
        token = SCENES.put(key, make)
    return token


def serve_info(digest: str, info: Future[SceneInfo]) -> str:
    """Serve what a scene says, which may wait for its surfaces.

    Args:
        digest: Of all that it is made from.
        info: What it says.

    Returns:
        Its name.
    """

    def make() -> Future[bytes]:
        return then(info, _written)

    token = INFOS.put(digest, make)
    known = INFOS.find(token)
    if known is not None and _failed(known):
        INFOS.drop(token)
        token = INFOS.put(digest, make)
    return token


def _failed(coming: Future[bytes]) -> bool:
    return coming.done() and coming.exception() is not None


def _written(info: SceneInfo) -> bytes:
    return _packed(json.dumps(info.to_json(), allow_nan=False, separators=(",", ":")).encode())


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, _QUICK, mtime=0)


def scenes_path() -> str:
    """Path of all scenes, without a slash at its end, below the server's base path."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/scenes" if base else "/scenes"


def vtk_js_name() -> str:
    """vtk.js below `scenes_path`, with its digest: browsers keep it for a year."""
    try:
        return f"vtk.js?v={vtk_js_digest()}"
    except SceneError:
        # The browser finds nothing there and the page says so.
        return "vtk.js"


def scene_routes() -> list[Route]:
    """The routes, to be given to `st.App`; each answers in a thread of its own."""
    path = scenes_path()
    return [
        Route(path + "/vtk.js", _vtk_js),
        Route(path + "/{token}/parts", _parts),
        Route(path + "/info/{token}", _info),
        Route(path + "/{token}/axial", _axial),
        Route(path + "/{token}/upright", _upright),
    ]


def _vtk_js(request: Request) -> Response:
    del request
    try:
        return _gzipped(vtk_js_gzipped(), "text/javascript")
    except SceneError:
        return _missing()


async def _parts(request: Request) -> Response:
    scene = SCENES.find(request.path_params["token"])
    if scene is None:
        return _missing()
    return await _once_made(scene.parts, "application/octet-stream")


async def _info(request: Request) -> Response:
    info = INFOS.find(request.path_params["token"])
    return _missing() if info is None else await _once_made(info, "application/json")


async def _once_made(coming: Future[bytes], media_type: str) -> Response:
    """The content; 202 where it is still being made, 503 where that failed: the page says why."""
    if not coming.done():
        await asyncio.wait({asyncio.wrap_future(coming)}, timeout=ANSWER_WITHIN_S)
    if not coming.done():
        return Response(status_code=202, headers={"Cache-Control": "no-store"})
    if coming.exception() is not None:
        return Response(status_code=503, headers={"Cache-Control": "no-store"})
    return _gzipped(coming.result(), media_type)


def _axial(request: Request) -> Response:
    scene = SCENES.find(request.path_params["token"])
    text = request.query_params.get("slice", "")
    if scene is None or not text.isdecimal() or len(text) > 5 or int(text) >= scene.volume.n_slices:
        return _missing()
    return _picture(axial_plane(scene.volume, int(text), _BONE))


def _upright(request: Request) -> Response:
    scene = SCENES.find(request.path_params["token"])
    asked = {"half": "1000"} | dict(request.query_params)
    values = [_number(asked.get(name, "")) for name in ("x", "y", "z", "turn", "cut", "half")]
    if scene is None or None in values:
        return _missing()
    x, y, z, turn, cut, half = (float(value or 0.0) for value in values)
    angle = math.radians(turn)
    center = np.array([x + cut * math.cos(angle), y - cut * math.sin(angle), z])
    half = max(half, 1.0)
    return _picture(upright_plane(scene.volume, center, turn, _BONE, half_width_mm=half))


def _number(text: str) -> float | None:
    """A finite number of a plausible size; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= 10_000 else None


def _picture(plane: CtPlane) -> Response:
    corners = json.dumps(np.round(plane.corners, 2).tolist())
    return Response(
        plane.jpeg(), media_type="image/jpeg", headers={CORNERS_HEADER: corners} | _headers()
    )


def _gzipped(content: bytes, media_type: str) -> Response:
    return Response(
        content, media_type=media_type, headers={"Content-Encoding": "gzip"} | _headers()
    )


def _headers() -> dict[str, str]:
    # A name is a digest of its content, so what it names never changes.
    return {
        "Cache-Control": f"private, max-age={_YEAR}, immutable",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _missing() -> Response:
    return Response(status_code=404, headers={"Cache-Control": "no-store"})
