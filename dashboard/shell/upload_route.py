"""Files that arrive over HTTP go to disk; Streamlit's own route would keep them in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import streamlit as st
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import get_instance, memory_uploaded_file_manager
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec, UploadFileUrlInfo
from streamlit.web.server.starlette.starlette_app_utils import validate_xsrf_token
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from dashboard.background.budget import TRANSFERS
from dashboard.session.session_end import watch_tab
from dashboard.session.urls import path_of
from dashboard.studies.incoming_files import INCOMING, Transfer, TransferRefusedError
from dashboard.studies.request_body import body_pieces, declared_bytes, too_large

UPLOADS: Final = "_stcore/upload_file"
_PIECE: Final = 1 << 20
_OVERHEAD: Final = 64 << 10
"""Bytes of a request beyond those of its file: boundaries and headers of the form."""


class FilesOnDisk(MemoryUploadedFileManager):
    """Streamlit's list of uploaded files; their content is in `INCOMING`."""

    def get_upload_urls(
        self, session_id: str, file_names: Sequence[str]
    ) -> list[UploadFileUrlInfo]:
        """Addresses for files that the browser announces."""
        watch_tab(session_id)
        names = INCOMING.issue(session_id, len(file_names))
        places = [f"{self.endpoint}/{session_id}/{name}" for name in names]
        return [
            UploadFileUrlInfo(name, place, place) for name, place in zip(names, places, strict=True)
        ]

    def remove_file(self, session_id: str, file_id: str) -> None:
        """Delete a file that the user takes away."""
        super().remove_file(session_id, file_id)
        INCOMING.remove(session_id, file_id)

    def remove_session_files(self, session_id: str) -> None:
        """Delete the files of a session that has ended."""
        super().remove_session_files(session_id)
        INCOMING.end_session(session_id)


def keep_uploads_on_disk() -> None:
    """Have Streamlit make a `FilesOnDisk` for its server; it looks the class up by this name."""
    memory_uploaded_file_manager.MemoryUploadedFileManager = FilesOnDisk


class UploadRoute:
    """ASGI middleware that answers the PUT requests of uploads.

    Args:
        app: Application that answers everything else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._slots = asyncio.Semaphore(TRANSFERS.at_once)
        self._asked: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store the file of an upload, or pass the request on."""
        start, path = path_of(UPLOADS) + "/", scope.get("path", "")
        if scope["type"] == "http" and scope["method"] == "PUT" and path.startswith(start):
            response = await self._put(Request(scope, receive), path.removeprefix(start))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _put(self, request: Request, place: str) -> Response:
        session, _, file_id = place.partition("/")
        try:
            _check(request, session)
            async with self._turn(session):
                with contextlib.closing(_Form(request, session, file_id)) as form:
                    await form.store()
        except TransferRefusedError as error:
            return PlainTextResponse(f"{error}\n", status_code=error.status)
        except (ClientDisconnect, FormParserError):
            return PlainTextResponse("The upload is incomplete; send it again.\n", status_code=400)
        return Response(status_code=204)

    @contextlib.asynccontextmanager
    async def _turn(self, session: str) -> AsyncGenerator[None]:
        if (
            self._asked[session] >= TRANSFERS.per_session
            or self._asked.total() >= TRANSFERS.at_once + TRANSFERS.waiting
        ):
            raise TransferRefusedError(503, "Too many files arrive at once; try again later.")
        self._asked[session] += 1
        try:
            async with self._slots:
                yield
        finally:
            self._asked -= Counter([session])


def _check(request: Request, session: str) -> None:
    """Check what Streamlit's own route checks.

    Raises:
        TransferRefusedError: The token is missing, the session unknown or the file too large.
    """
    token, cookie = request.headers.get("X-Xsrftoken"), request.cookies.get(XSRF_COOKIE_NAME)
    if st.get_option("server.enableXsrfProtection") and not validate_xsrf_token(token, cookie):
        raise TransferRefusedError(403, "XSRF token missing or invalid")
    if not get_instance().is_active_session(session):
        raise TransferRefusedError(400, "There is no such session; open the page again.")
    if _declared(request) > st.get_option("server.maxUploadSize") << 20:
        raise too_large()


def _declared(request: Request) -> int:
    return max(declared_bytes(request) - _OVERHEAD, 0)


class _Form:
    """The form of one request; its only file goes to disk."""

    def __init__(self, request: Request, session: str, file_id: str) -> None:
        _, options = parse_options_header(request.headers.get("content-type"))
        self._parser = MultipartParser(
            options.get(b"boundary") or b"-",
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._name,
                "on_header_value": self._value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )
        self._request, self._session, self._file_id = request, session, file_id
        self._header = [b"", b""]
        self._headers: dict[bytes, bytes] = {}
        self._in_file = False
        self._files, self._ended = 0, False
        self._pending = bytearray()
        self._about = {b"filename": b"", b"type": b"application/octet-stream"}
        self._transfer: Transfer | None = None

    async def store(self) -> None:
        """Read the request to its end and keep its file.

        Raises:
            TransferRefusedError: There is no room, it holds not one file, or it comes too slowly.
            ClientDisconnect, FormParserError: The request is incomplete or no form.
        """
        transfer = self._transfer = await asyncio.to_thread(
            INCOMING.begin, self._session, self._file_id, _declared(self._request)
        )
        limit = st.get_option("server.maxUploadSize") << 20
        async for piece in body_pieces(self._request, limit + _OVERHEAD):
            self._parser.write(piece)
            if transfer.size + len(self._pending) > limit:
                raise too_large()
            if len(self._pending) >= _PIECE:
                await self._flush(transfer)
        self._parser.finalize()
        await self._flush(transfer)
        if not self._ended:
            raise FormParserError
        if self._files != 1:
            raise TransferRefusedError(400, f"Expected 1 file, but got {self._files}")
        transfer.finish()
        self._transfer = None
        # The content is read from disk by this id.
        manager = get_instance().uploaded_file_mgr
        assert isinstance(manager, FilesOnDisk)
        name = self._about[b"filename"].decode("utf-8", "replace")
        kind = self._about[b"type"].decode("latin-1")
        manager.add_file(self._session, UploadedFileRec(self._file_id, name, kind, b""))

    def close(self) -> None:
        """Drop the file unless it was kept."""
        if self._transfer is not None:
            self._transfer.abort()

    async def _flush(self, transfer: Transfer) -> None:
        content, self._pending = bytes(self._pending), bytearray()
        await asyncio.to_thread(transfer.write, content)

    def _begin_part(self) -> None:
        self._headers, self._in_file = {}, False

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[name.lower()] = value
        self._header = [b"", b""]

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"filename" in options:
            self._files, self._in_file = self._files + 1, self._files == 0
            self._about[b"filename"] = options[b"filename"]
            self._about[b"type"] = self._headers.get(b"content-type", self._about[b"type"])

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pending += data[start:end]

    def _end(self) -> None:
        self._ended = True
