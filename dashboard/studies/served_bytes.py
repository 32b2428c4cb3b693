"""Pixels and surfaces that a browser may fetch over HTTP, under names that cannot be guessed."""

from __future__ import annotations

import base64
import gzip
import hmac
import secrets
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.session.session_end import at_session_end

Pixels = NDArray[Any]

PROOF_HEADER: Final = "x-viewer-session"
_SECRET: Final = secrets.token_bytes(32)
"""New at every start of the server, so that no name outlives it."""
_YEAR: Final = 365 * 24 * 3600
_QUICK: Final = 1
"""Level of gzip: higher ones take at least twice as long for a few per cent."""


class Owned(Protocol):
    """A served source."""

    @property
    def owner(self) -> str | None:
        """The only session that may read it; None if every session of this server may."""
        ...


Source = TypeVar("Source", bound=Owned)


_registries: Final[weakref.WeakSet[ServedBytes[Any]]] = weakref.WeakSet()


class ServedBytes(Generic[Source]):
    """Registry of the served sources of one kind; the least recently used are dropped first.

    Args:
        kind: Part of the names, so that names of two kinds differ.
        max_sources: Number of sources kept.
        max_bytes: Bytes of their compressed parts kept.
    """

    def __init__(self, kind: str, max_sources: int, max_bytes: int) -> None:
        self._kind = kind
        self._sources: OrderedDict[str, Source] = OrderedDict()
        self._packed: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._max_sources, self._left = max_sources, max_bytes
        self._lock = Lock()
        _registries.add(self)

    def register(self, content: str, source: Source) -> str:
        """Make a source readable.

        Args:
            content: Digest of its content: other content must have another digest.
            source: Replaces an earlier one of the same content and owner.

        Returns:
            Name in URLs, 32 characters: an HMAC of kind, content and owner.
        """
        name = _digest(self._kind, content, source.owner or "")
        with self._lock:
            self._sources[name] = source
            self._sources.move_to_end(name)
            while len(self._sources) > self._max_sources:
                dropped, _ = self._sources.popitem(last=False)
                self._forget_packed(dropped)
        return name

    def find(self, name: str, session_proof: str) -> Source | None:
        """The source with this name; None if the session may not read it.

        Args:
            name: Name from `register`.
            session_proof: `session_proof_of` the requesting session, "" without one.
        """
        with self._lock:
            source = self._sources.get(name)
            if source is None:
                return None
            self._sources.move_to_end(name)
        if source.owner is not None and not hmac.compare_digest(
            session_proof_of(source.owner).encode(), session_proof.encode()
        ):
            return None
        return source

    def requested(self, request: Request) -> tuple[str, Source | None]:
        """Name in the path of a request, and its source; None if the sender may not read it."""
        name = request.path_params["name"]
        return name, self.find(name, request.headers.get(PROOF_HEADER, ""))

    def packed(self, name: str, part: str, make: Callable[[], bytes]) -> bytes:
        """A part of a source as gzip; from memory if it was packed before.

        Args:
            name: Name from `register`.
            part: Name of the part.
            make: Returns the bytes of the part.
        """
        key = name, part
        with self._lock:
            if key in self._packed:
                self._packed.move_to_end(key)
                return self._packed[key]
        packed = pack(make())
        with self._lock:
            if name in self._sources and key not in self._packed:
                self._packed[key] = packed
                self._left -= len(packed)
                while self._left < 0:
                    _, dropped = self._packed.popitem(last=False)
                    self._left += len(dropped)
        return packed

    def forget(self, owner: str) -> None:
        """Drop the sources of one session with their compressed parts."""
        with self._lock:
            for name in [name for name, one in self._sources.items() if one.owner == owner]:
                del self._sources[name]
                self._forget_packed(name)

    def _forget_packed(self, name: str) -> None:
        for key in [key for key in self._packed if key[0] == name]:
            self._left += len(self._packed.pop(key))


@dataclass(frozen=True, slots=True, eq=False)
class PixelSource:
    """One stack of slices, opened when a slice is asked for.

    Attributes:
        slices: Returns slice i, int16 or uint8 (h, w).
        n_slices: Number of slices.
        planes: Returns the reduced volume (z, y, x); None without one.
        volume: Whole volume (z, y, x) that single planes are cut from; None without one.
        owner: The only session that may read it; None if every session of this server may.
    """

    slices: Callable[[int], Pixels]
    n_slices: int
    planes: Callable[[], Pixels] | None = None
    volume: Pixels | None = None
    owner: str | None = None


PIXELS: Final = ServedBytes[PixelSource]("source", 96, 192 << 20)
"""Filled by the pages, read by the routes of the viewer."""


@at_session_end
def _forget(session: str) -> None:
    for registry in list(_registries):
        registry.forget(session)


def session_proof_of(session: str) -> str:
    """Header value that proves a session to be the owner; sent to its own browser only."""
    return _digest("session", session)


def proof_for(owner: str | None, session: str) -> str:
    """Header value that a session needs for the sources of an owner; "" if it needs none."""
    return "" if owner is None else session_proof_of(session)


def little_endian(pixels: Pixels) -> bytes:
    """Pixels as bytes, little-endian, in C order."""
    return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).tobytes()


def pack(content: bytes) -> bytes:
    """Compress as gzip."""
    return gzip.compress(content, _QUICK, mtime=0)


def answer(
    content: bytes, owner: str | None, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Response with a part of a source that the sender may read.

    Args:
        content: Bytes of the part, which never change under its name.
        owner: Owner of the source.
        media_type: Media type of the content.
        headers: Further headers.
    """
    # Content of one session stays out of the browser's disk cache, which outlives the session.
    keep = f"private, max-age={_YEAR}, immutable" if owner is None else "no-store"
    fixed = {
        "Cache-Control": keep,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(content, media_type=media_type, headers=fixed | dict(headers or {}))


def packed_answer(
    packed: bytes, owner: str | None, media_type: str = "application/octet-stream"
) -> Response:
    """`answer` for content that is compressed already."""
    return answer(packed, owner, media_type, {"Content-Encoding": "gzip"})


def nothing_else_below(path: str) -> list[Route]:
    """Routes that answer 404 at a path and below it; without them Streamlit shows its own page."""

    def nothing(request: Request) -> Response:
        del request
        return no_content()

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return [Route(place, nothing, methods=methods) for place in (path, path + "/{rest:path}")]


def no_content(status: int = 404) -> Response:
    """Empty response, the same for a missing source and for one that the sender may not read."""
    return Response(status_code=status, headers={"Cache-Control": "no-store"})


def _digest(*parts: str) -> str:
    message = "\0".join(parts).encode()
    return base64.urlsafe_b64encode(hmac.digest(_SECRET, message, "sha256")[:24]).decode()
