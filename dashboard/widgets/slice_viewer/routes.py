"""HTTP routes for the pixels that the viewer draws."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.session.urls import path_of, slice_number
from dashboard.studies.served_bytes import (
    PIXELS,
    little_endian,
    no_content,
    nothing_else_below,
    pack,
    packed_answer,
)


def pixels_path() -> str:
    """Path of the pixels, without a trailing slash."""
    return path_of("pixels")


def slice_pixels(request: Request) -> Response:
    """One slice: int16 HU or uint8 values, little-endian, rows from top to bottom, as gzip."""
    name, source = PIXELS.requested(request)
    index = slice_number(request.path_params["index"], 0 if source is None else source.n_slices)
    if source is None or index is None:
        return no_content()
    packed = PIXELS.packed(name, str(index), lambda: little_endian(source.slices(index)))
    return packed_answer(packed, source.owner)


def _plane_pixels(axis: int) -> Callable[[Request], Response]:
    """Answer with one plane across an axis of the whole volume, from the head down, as gzip."""

    def answer(request: Request) -> Response:
        name, source = PIXELS.requested(request)
        volume = None if source is None else source.volume
        index = slice_number(
            request.path_params["index"], 0 if volume is None else volume.shape[axis]
        )
        if source is None or volume is None or index is None:
            return no_content()
        packed = PIXELS.packed(
            name, f"{axis} {index}", lambda: little_endian(volume.take(index, axis=axis))
        )
        return packed_answer(packed, source.owner)

    return answer


def planes_pixels(request: Request) -> Response:
    """The reduced volume that the other planes are cut from, (z, y, x), as gzip."""
    _, source = PIXELS.requested(request)
    if source is None or source.planes is None:
        return no_content()
    return packed_answer(pack(little_endian(source.planes())), source.owner)


def viewer_routes() -> list[Route]:
    """Routes for `st.App`; each request is answered in a separate thread."""
    path = pixels_path()
    return [
        Route(path + "/{name}/slice/{index}", slice_pixels),
        Route(path + "/{name}/planes", planes_pixels),
        Route(path + "/{name}/coronal/{index}", _plane_pixels(1)),
        Route(path + "/{name}/sagittal/{index}", _plane_pixels(2)),
        *nothing_else_below(path),
    ]
