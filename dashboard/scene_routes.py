"""HTTP beside the pages: surfaces, values and CT planes of the 3D scene, and vtk.js."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable
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
from core.visualization.parts import PackedParts
from core.visualization.planes import CtPlane, axial_plane, upright_plane
from core.visualization.scene import SceneInfo
from core.visualization.viewer_files import vtk_js_gzipped

Kept = TypeVar("Kept")
CORNERS_HEADER: Final = "x-plane-corners"
_BONE: Final = HuWindow(*DISPLAY_WINDOWS["bone"])
_YEAR: Final = 365 * 24 * 3600


@dataclass(frozen=True, slots=True, eq=False)
class ServedScene:
    """The part of a scene that a network's opinion does not change.

    Attributes:
        parts: Packed surfaces, gzip-compressed.
        volume: The series that CT planes are cut from.
    """

    parts: bytes
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

    def find(self, token: str) -> Kept | None:
        """The thing of this name, if it is still served."""
        with self._lock:
            if token in self._kept:
                self._kept.move_to_end(token)
            return self._kept.get(token)


SCENES: Final[Shelf[ServedScene]] = Shelf(6)
INFOS: Final[Shelf[bytes]] = Shelf(64)


def serve_scene(packed: PackedParts, volume: CTVolume) -> str:
    """Serve surfaces and the planes of their series; returns the scene's name."""

    def make() -> ServedScene:
        return ServedScene(gzip.compress(packed.payload, 6, mtime=0), volume)

    return SCENES.put(packed.key, make)


def serve_info(info: SceneInfo) -> str:
    """Serve what a scene says; returns its name."""

    def make() -> bytes:
        text = json.dumps(info.to_json(), allow_nan=False, separators=(",", ":"))
        return gzip.compress(text.encode(), 6, mtime=0)

    return INFOS.put(info.digest(), make)


def scenes_path() -> str:
    """Path of all scenes, without a slash at its end, below the server's base path."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/scenes" if base else "/scenes"


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


def _parts(request: Request) -> Response:
    scene = SCENES.find(request.path_params["token"])
    return _missing() if scene is None else _gzipped(scene.parts, "application/octet-stream")


def _info(request: Request) -> Response:
    info = INFOS.find(request.path_params["token"])
    return _missing() if info is None else _gzipped(info, "application/json")


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
