"""A server on this machine that answers as a test wants, and what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.config import Settings
from core.dicomweb.servers import DicomWebServer
from tests.orthanc import orthanc

__all__ = ["orthanc"]

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Answering:
    """The server.

    Attributes:
        port: Its port.
        answer: Answers every request.
        asked: Path and headers of each request, by lower-case name.
    """

    port: int = 0
    answer: Answer | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/dicom-web"

    @property
    def server(self) -> DicomWebServer:
        return DicomWebServer("made", self.url)

    def says(self, body: bytes, kind: str = "application/dicom+json", status: int = 200) -> Answer:
        """Answer with a body from now on."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.answer = answer
        return answer

    def sends_to(self, place: str) -> Answer:
        """Answer with a redirect from now on."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(307)
            handler.send_header("Location", place)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self.answer = answer
        return answer


@pytest.fixture
def make_answering() -> Iterator[Callable[[], Answering]]:
    """Starts servers."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start() -> Answering:
        state = Answering()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if length := int(self.headers.get("Content-Length") or 0):
                    self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                state.asked.append((self.path, headers))
                assert state.answer is not None
                state.answer(self)

            do_POST = do_GET  # noqa: N815 - a name of the base class

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.append((server, thread))
        state.port = server.server_port
        return state

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def answering(make_answering) -> Answering:
    return make_answering()


@pytest.fixture
def settings_with(tmp_path):
    """Settings with an allow-list and a file of secrets."""

    def make(servers: str, secrets: str | None = None) -> Settings:
        file = tmp_path / "secrets.toml"
        if secrets is not None:
            file.write_text(secrets)
        return Settings(dicomweb_servers=servers, dicomweb_secrets=file)

    return make
