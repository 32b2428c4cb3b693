"""Split a multipart answer into its parts while it arrives, in little memory (RFC 2046, 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.message import Message
from typing import Final

from core.errors import DicomWebError

_MOST_HEADERS: Final = 1 << 14
"""Bytes of a part's headers."""
_LONGEST_BOUNDARY: Final = 70
_BREAK: Final = b"\r\n"


def boundary_of(content_type: str) -> bytes:
    """Boundary that a Content-Type header names.

    Raises:
        DicomWebError: It is no multipart answer.
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary() or ""
    is_multipart = header.get_content_maintype() == "multipart"
    if not is_multipart or not 0 < len(boundary) <= _LONGEST_BOUNDARY or not boundary.isascii():
        raise DicomWebError(
            "The DICOM server's answer is not in parts, as WADO-RS wants it; check its URL in "
            "DICOMWEB_SERVERS."
        )
    return boundary.encode()


def split_parts(chunks: Iterable[bytes], boundary: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the content of all parts in pieces, each with the number of its part from 0.

    Args:
        chunks: The answer's body.
        boundary: Stands between the parts.

    Raises:
        DicomWebError: The answer ends before its last part does, or a part's headers do not end.
    """
    arriving = _Arriving(chunks)
    delimiter = _BREAK + b"--" + boundary
    for _ in arriving.until(delimiter):
        pass  # What stands before the first part is to be ignored.
    number = 0
    while not arriving.last():
        arriving.skip_headers()
        for piece in arriving.until(delimiter):
            yield number, piece
        number += 1


class _Arriving:
    """Bytes that have arrived and were not used yet."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        # The first delimiter may stand at the very beginning.
        self._held = bytearray(_BREAK)

    def until(self, end: bytes) -> Iterator[bytes]:
        """Yield everything before `end`, and drop `end`."""
        while (at := self._held.find(end)) < 0:
            # The end may have arrived in part.
            if (whole := len(self._held) - len(end) + 1) > 0:
                yield bytes(self._held[:whole])
                del self._held[:whole]
            self._wait()
        yield bytes(self._held[:at])
        del self._held[: at + len(end)]

    def last(self) -> bool:
        """Whether the delimiter just dropped is the closing one."""
        while len(self._held) < len(_BREAK):
            self._wait()
        return self._held.startswith(b"--")

    def skip_headers(self) -> None:
        """Drop everything before a part's content."""
        while (at := self._held.find(_BREAK * 2)) < 0 and len(self._held) <= _MOST_HEADERS:
            self._wait()
        if not 0 <= at <= _MOST_HEADERS:
            raise DicomWebError(
                "A part of the DICOM server's answer has no end of its headers; try again, or ask "
                "its administrator."
            )
        del self._held[: at + 2 * len(_BREAK)]

    def _wait(self) -> None:
        """Take the next chunk.

        Raises:
            DicomWebError: There is none.
        """
        chunk = next(self._chunks, None)
        if chunk is None:
            raise DicomWebError(
                "The DICOM server's answer ended before its last image did; try again."
            )
        self._held += chunk
