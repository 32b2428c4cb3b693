"""The body of a request, piece by piece, within a limit of size and of time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Final

from starlette.requests import Request

from dashboard.studies.incoming_files import TransferRefusedError

_SILENCE_SECONDS: Final = 60.0
_SLOWEST: Final = 4 << 10
"""Bytes a second below which a transfer is given up once it has lasted for a minute."""


def declared_bytes(request: Request) -> int:
    """Size of the body that a request announces; 0 if it announces none.

    Raises:
        TransferRefusedError: The header is not a number.
    """
    text = request.headers.get("content-length", "0")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise TransferRefusedError(400, "Content-Length is not a number; send the size in bytes.")
    return int(text)


def too_large() -> TransferRefusedError:
    """Refusal of a body beyond the limit."""
    return TransferRefusedError(
        413, "The request is larger than the server takes (MAX_UPLOAD_MIB); send one series."
    )


async def body_pieces(request: Request, limit: int) -> AsyncGenerator[bytes]:
    """Yield the pieces of a body as they arrive.

    Args:
        request: The request.
        limit: Largest size in bytes.

    Raises:
        TransferRefusedError: The body is larger, or its sender is silent or too slow.
        ClientDisconnect: The body is incomplete.
    """
    stream, began, received = request.stream(), time.monotonic(), 0
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), _SILENCE_SECONDS)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise TransferRefusedError(408, "The upload has stopped; send it again.") from None
        received += len(piece)
        lasted = time.monotonic() - began
        if lasted > _SILENCE_SECONDS and received < _SLOWEST * lasted:
            raise TransferRefusedError(408, "The upload is too slow; try again later.")
        if received > limit:
            raise too_large()
        yield piece
