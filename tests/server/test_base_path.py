"""A server below a path, open to everybody: links stay below the path, visitors only look."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from benchmarks.page_client import PageClient
from core.config import PROJECT_ROOT
from scripts.container_health import health_url

PAGES = sorted(file.stem for file in (PROJECT_ROOT / "pages").glob("[a-z]*.py"))


@pytest.fixture(scope="module")
def drawn(lab_server):
    """Every page as a visitor gets it: elements by kind."""
    parts = urlsplit(lab_server)
    with PageClient(lab_server, origin=f"{parts.scheme}://{parts.netloc}") as client:
        yield {name: client.open(name) for name in PAGES}


def links_of(page) -> set[str]:
    bodies = [one.body for kind in ("html", "markdown") for one in page.of_kind(kind)]
    found = {
        unescape(link) for body in bodies for link in re.findall(r'(?:href|src)="([^"]+)"', body)
    }
    found |= {one.url for one in page.of_kind("link_button")}
    return {link for link in found if not link.startswith(("data:", "#"))}


def test_every_link_stays_below_the_path_and_leads_somewhere(lab_server, drawn):
    found = {(name, link) for name, page in drawn.items() for link in links_of(page)}
    assert {name for name, _ in found} >= {"evaluation", "localization"}
    for name, link in sorted(found):
        parts = urlsplit(urljoin(f"{lab_server}/{name}", link))
        assert parts.netloc == urlsplit(lab_server).netloc, link
        assert parts.path.removeprefix("/lab/").split("/")[0] in [*PAGES, "pictures"], link
        # A picture of a study that is made for it takes seconds.
        assert httpx.get(parts.geturl(), timeout=120).status_code == 200, link


def test_what_components_fetch_is_below_the_path_too(lab_server, drawn):
    texts = [
        one.mixed.json if one.WhichOneof("data") == "mixed" else one.json
        for page in drawn.values() for one in page.of_kind("bidi_component")
    ]  # fmt: skip
    paths = {path for text in texts for path in re.findall(r'"(/[a-z_]+[^"]*)"', text)}
    assert any("/pixels" in path for path in paths)
    assert [path for path in paths if not path.startswith("/lab/")] == []


def test_the_routes_are_below_the_path_and_nowhere_else(lab_server, monkeypatch):
    root = lab_server.removesuffix("/lab")
    monkeypatch.setenv("STREAMLIT_SERVER_BASE_URL_PATH", "/lab/")
    assert httpx.get(health_url(urlsplit(lab_server).port)).text == "ok"
    for path in (
        "/pixels/x/slice/0",
        "/scenes/vtk.js",
        "/_stcore/health",
        "/diagnosis",
        "/labpixels",
    ):
        assert httpx.get(root + path).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/pixels", "/pixels/", "/pixels/a", "/pixels/a/b/c/d", f"/pixels/a/slice/{'9' * 5000}",
     "/pictures", "/pictures/a/b",
     "/scenes", "/scenes/a/b/c", "/scenes/libraries", f"/scenes/a/axial?slice={'9' * 5000}"],
    ids=lambda path: path[:20],
)  # fmt: skip
def test_unknown_paths_below_ours_are_not_found(lab_server, path):
    for ask in (httpx.get, httpx.post):
        assert ask(lab_server + path).status_code in (404, 405)
    assert "text/html" not in httpx.get(lab_server + path).headers.get("content-type", "")


def test_visitors_of_an_open_server_are_viewers(drawn):
    assert "Start training" not in {one.label for one in drawn["training"].of_kind("button")}
    sources = [one for one in drawn["diagnosis"].of_kind("button_group") if "source" in one.id]
    assert "Folder" not in {option.content for option in sources[0].options}
    assert drawn["dataset"].errors() == []
