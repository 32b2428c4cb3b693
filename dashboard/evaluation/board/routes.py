"""HTTP route for the counts that the threshold board moves by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.session.urls import path_of
from dashboard.studies.served_bytes import (
    ServedBytes,
    no_content,
    nothing_else_below,
    packed_answer,
)


@dataclass(frozen=True, slots=True, eq=False)
class ServedCounts:
    """Counts of a model.

    Attributes:
        content: Returns the bytes that `BoardCounts.to_bytes` describes.
        owner: None: every session of this server may read predictions.
    """

    content: Callable[[], bytes]
    owner: str | None = None


COUNTS: Final = ServedBytes[ServedCounts]("counts", 128, 32 << 20)


def counts_path() -> str:
    """Path of all counts, without a trailing slash."""
    return path_of("counts")


def counts_routes() -> list[Route]:
    """Routes for `st.App`; each request is answered in a separate thread."""
    path = counts_path()
    return [Route(path + "/{name}", _counts), *nothing_else_below(path)]


def _counts(request: Request) -> Response:
    name, source = COUNTS.requested(request)
    if source is None:
        return no_content()
    return packed_answer(COUNTS.packed(name, "", source.content), source.owner)
