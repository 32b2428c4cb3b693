"""HTTP beside the pages: the pixels that the viewer draws."""

from __future__ import annotations

from typing import Final

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.studies.served_pixels import REGISTRY, PixelSource, pack

PROOF_HEADER: Final = "x-viewer-session"
_YEAR: Final = 365 * 24 * 3600


def pixels_path() -> str:
    """Path of the pixels, without a slash at its end, below the server's base path."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/pixels" if base else "/pixels"


def slice_pixels(request: Request) -> Response:
    """One slice: int16 HU or uint8 values, little-endian, rows from top to bottom, as gzip."""
    name, source = _source(request)
    if source is None:
        return _missing()
    try:
        packed = REGISTRY.packed_slice(name, source, request.path_params["index"])
    except IndexError:
        return _missing()
    return _gzipped(packed, source)


def planes_pixels(request: Request) -> Response:
    """The reduced volume that the other planes are cut from, (z, y, x), as gzip."""
    _, source = _source(request)
    if source is None or source.planes is None:
        return _missing()
    return _gzipped(pack(source.planes()), source)


def viewer_routes() -> list[Route]:
    """The routes, to be given to `st.App`; each answers in a thread of its own."""
    path = pixels_path()
    return [
        Route(path + "/{name}/slice/{index:int}", slice_pixels),
        Route(path + "/{name}/planes", planes_pixels),
    ]


def _source(request: Request) -> tuple[str, PixelSource | None]:
    name = request.path_params["name"]
    return name, REGISTRY.find(name, request.headers.get(PROOF_HEADER, ""))


def _gzipped(packed: bytes, source: PixelSource) -> Response:
    # The name is a digest of the content, so what it names never changes. What belongs to one
    # session stays out of the browser's disk cache: it would outlive the session there.
    keep = f"private, max-age={_YEAR}, immutable" if source.owner is None else "no-store"
    return Response(
        packed,
        media_type="application/octet-stream",
        headers={
            "Content-Encoding": "gzip",
            "Cache-Control": keep,
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
    )


def _missing() -> Response:
    """The same answer for what is not there and for what the asker may not see."""
    return Response(status_code=404, headers={"Cache-Control": "no-store"})
