"""The interface in this process: its routes behind the server's gate and limits."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from dashboard.api.routes import api_path, api_routes
from dashboard.shell.gate import Gate
from dashboard.shell.traffic_limits import TrafficLimits
from dashboard.studies import localizer, predictions, upload_jobs
from dashboard.studies.open_study import OPEN_STUDIES

TOKEN = "a-token-of-these-tests-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ZIP = {"Content-Type": "application/zip"}

Check = Callable[[httpx.AsyncClient], Awaitable[None]]


@pytest.fixture
def api(at_work, monkeypatch, tmp_path) -> Callable[[Check], None]:
    """Runs a check with a client of a new server that has the token."""
    monkeypatch.setenv("API_TOKEN", TOKEN)
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RSNA_ROOT", str(at_work.var / "demo"))
    monkeypatch.setenv("MAX_UPLOAD_MIB", "1")
    for pool in (predictions._pool, localizer._pool, upload_jobs._pool):
        pool.clear()
    OPEN_STUDIES.clear()
    return run_check


def run_check(check: Check) -> None:
    async def run() -> None:
        async with client() as http:
            await check(http)

    # In a thread: Playwright's loop may run in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()


@asynccontextmanager
async def client(headers: dict[str, str] = BEARER) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=api_routes(), middleware=[Middleware(Gate), Middleware(TrafficLimits)])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    url = f"http://127.0.0.1{api_path()}"
    async with httpx.AsyncClient(transport=transport, base_url=url, headers=headers) as http:
        yield http


async def ended(http: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    """The job of an accepted request, once it has ended."""
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(120):
        while (job := (await http.get(place_of(answer))).json())["state"] == "running":
            await asyncio.sleep(0.02)
    return job


def place_of(answer: httpx.Response) -> str:
    """Address of a job, below that of the interface."""
    place = f"/predictions/{answer.json()['id']}"
    assert answer.headers["location"] == f"{api_path()}{place}"
    return place


def zip_of(files: dict[str, bytes | Path]) -> bytes:
    """A zip archive of contents or files by name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            data = content.read_bytes() if isinstance(content, Path) else content
            archive.writestr(name, data)
    return stream.getvalue()


def zip_of_study(folder: Path) -> bytes:
    """A zip archive of a series, in a folder named like a patient."""
    return zip_of({f"MUSTERMANN^ERIKA/{file.name}": file for file in folder.iterdir()})
