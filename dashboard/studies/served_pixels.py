"""What the viewer may fetch over HTTP: sources of slices under names that cannot be guessed."""

from __future__ import annotations

import base64
import hmac
import secrets
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]

_SECRET: Final = secrets.token_bytes(32)
"""New with every start of the server: no name outlives it."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelSource:
    """One stack of slices, opened when a slice is asked for.

    Attributes:
        slices: Gives slice i, int16 or uint8 (h, w).
        n_slices: Slices 0..n-1 exist.
        planes: Gives the reduced volume (z, y, x); None where there is none.
        owner: Session that alone may read it; None where every session of this server may.
    """

    slices: Callable[[int], Pixels]
    n_slices: int
    planes: Callable[[], Pixels] | None = None
    owner: str | None = None


class PixelRegistry:
    """The sources on show, the ones used least recently forgotten first.

    Args:
        max_sources: Sources kept.
        max_bytes: Compressed slices kept.
    """

    def __init__(self, max_sources: int = 96, max_bytes: int = 192 << 20) -> None:
        self._sources: OrderedDict[str, PixelSource] = OrderedDict()
        self._packed: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._max_sources, self._left = max_sources, max_bytes
        self._lock = Lock()

    def register(self, content: str, source: PixelSource) -> str:
        """Make a source readable.

        Args:
            content: Digest of what it holds: other content must have another one.
            source: Replaces an earlier one of the same content and owner.

        Returns:
            Its name in URLs, 32 characters: an HMAC of content and owner.
        """
        name = _digest("source", content, source.owner or "")
        with self._lock:
            self._sources[name] = source
            self._sources.move_to_end(name)
            while len(self._sources) > self._max_sources:
                dropped, _ = self._sources.popitem(last=False)
                self._forget_packed(dropped)
        return name

    def find(self, name: str, session_proof: str) -> PixelSource | None:
        """The source of this name where the asker may read it.

        Args:
            name: From `register`.
            session_proof: The asker's `session_proof`, "" where it has none.
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

    def packed_slice(self, name: str, source: PixelSource, index: int) -> bytes:
        """Slice `index` of a source, little-endian, gzip; from memory where it was packed before.

        Raises:
            IndexError: There is no such slice.
        """
        if not 0 <= index < source.n_slices:
            raise IndexError(index)
        with self._lock:
            packed = self._packed.get((name, index))
            if packed is not None:
                self._packed.move_to_end((name, index))
                return packed
        packed = pack(source.slices(index))
        with self._lock:
            if name in self._sources and (name, index) not in self._packed:
                self._packed[name, index] = packed
                self._left -= len(packed)
                while self._left < 0:
                    _, dropped = self._packed.popitem(last=False)
                    self._left += len(dropped)
        return packed

    def _forget_packed(self, name: str) -> None:
        for key in [key for key in self._packed if key[0] == name]:
            self._left += len(self._packed.pop(key))


REGISTRY: Final = PixelRegistry()
"""The server's; its pages fill it and its routes read it."""


def session_proof_of(session: str) -> str:
    """What a session sends along to prove that it is the owner; goes to its own browser only."""
    return _digest("session", session)


def pack(pixels: Pixels) -> bytes:
    """Compress pixels as gzip of their little-endian bytes, in C order.

    Level 1: on CT it saves as much as higher levels within a few percent, in a third of the time.
    """
    packer = zlib.compressobj(level=1, wbits=31)
    plain = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    return packer.compress(plain.tobytes()) + packer.flush()


def _digest(*parts: str) -> str:
    message = "\0".join(parts).encode()
    return base64.urlsafe_b64encode(hmac.digest(_SECRET, message, "sha256")[:24]).decode()
