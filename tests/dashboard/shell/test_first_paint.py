"""The HTML page carries styles and cover; every other answer passes unchanged."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard.shell.first_paint import FirstPaint, first_paint

PAGE = "<html><head></head><body><div id='root'></div>" + "<!-- -->" * 200 + "</body></html>"
BROWSER = {"accept": "text/html,application/xhtml+xml", "accept-encoding": "gzip"}


@pytest.fixture
def client():
    async def page(request):
        if "if-none-match" in request.headers:
            return Response(status_code=304)
        return HTMLResponse(PAGE, headers={"etag": "x", "cache-control": "no-cache"})

    async def pieces(_request):
        return StreamingResponse(iter([PAGE[:50], PAGE[50:]]), media_type="text/html")

    async def missing(_request):
        return HTMLResponse(PAGE, status_code=404)

    async def data(_request):
        return JSONResponse({"a": PAGE}, headers={"etag": "y"})

    routes = [Route("/", page), Route("/pieces", pieces), Route("/missing", missing),
              Route("/data", data)]  # fmt: skip
    middleware = [Middleware(FirstPaint), Middleware(GZipMiddleware)]
    return TestClient(Starlette(routes=routes, middleware=middleware))


@pytest.mark.parametrize("path", ["/", "/pieces"])
def test_the_page_has_styles_and_cover_at_its_end(client, path):
    answer = client.get(path, headers=BROWSER)
    added = first_paint().decode()
    assert answer.text == PAGE.replace("</body>", added + "</body>")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "etag" not in answer.headers
    assert "--lab-ink" in added
    assert "lab-covered" in added
    assert "history.pushState" in added


def test_a_page_that_the_browser_kept_is_sent_again(client):
    answer = client.get("/", headers=BROWSER | {"if-none-match": "x", "range": "bytes=0-9"})
    assert (answer.status_code, answer.text.count("<script>")) == (200, 3)


def test_everything_else_passes_unchanged(client):
    assert client.get("/missing", headers=BROWSER).text == PAGE
    data = client.get("/data", headers=BROWSER)
    assert (data.json(), data.headers["etag"]) == ({"a": PAGE}, "y")
    script = client.get("/", headers={"accept": "*/*", "accept-encoding": "gzip"})
    assert (script.text, script.headers["content-encoding"]) == (PAGE, "gzip")
    assert client.post("/", headers=BROWSER).status_code == 405
