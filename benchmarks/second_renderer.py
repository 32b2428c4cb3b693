"""stpyvista's two backends in a real browser: seconds to the first picture, and bytes sent.

Run with `make bench ARGS=second_renderer`; it needs an installed Chromium. Each backend that is
installed shows one demo scene on a Streamlit page of its own server, as `stpyvista()` exports it;
the scripts that panel's page asks other hosts for are answered from the installed packages. What
the dashboard serves instead is measured beside them. trame's packages are not among the pins:
`pip install trame trame-vtk trame-vuetify trame-pyvista nest-asyncio2` in an environment of its own
adds that row.
"""

from __future__ import annotations

import importlib.util
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.visualization.scene_sources import scene_sources
from core.visualization.scene_surfaces import parts_file
from scripts.find_chromium import find_chromium
from tests.browser.scene_place import write_scene_place
from tests.browser.server import serve

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_MS = 300_000
PAGE = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
import streamlit as st
from core.visualization.plotter import SceneLook, scene_plotter
from core.visualization.scene_surfaces import read_parts
from stpyvista import stpyvista
if "show" not in st.query_params:
    st.write("warm")
    st.stop()
plotter = scene_plotter(read_parts(Path({surfaces!r})), SceneLook({{}}, rest=True), size=(900, 620))
stpyvista(plotter, backend=st.query_params["show"], key="scene")
"""


class Sent:
    """Bytes that a page received: over its socket, and compressed files."""

    def __init__(self, page: Page) -> None:
        self.socket = self.files = 0
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.webSocketFrameReceived", self._framed)
        session.on("Network.loadingFinished", self._finished)

    def _framed(self, event: dict[str, Any]) -> None:
        self.socket += len(event["response"]["payloadData"])

    def _finished(self, event: dict[str, Any]) -> None:
        self.files += int(event["encodedDataLength"])


def answer(route: Route) -> None:
    """Answer for the hosts that panel's page asks, from the installed packages."""
    url = unquote(route.request.url.split("?")[0])
    package, below = ("bokeh", "server/static/js") if "bokeh.org" in url else ("panel", "dist")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    name = re.sub(r"-\d+(\.\d+)+(?=\.min\.js$)", "", url.rpartition("/release/")[2])
    name = name if package == "bokeh" else url.split("/dist/", 1)[1]
    file = Path(spec.origin).parent / below / name
    # The scripts are asked for with an origin, and refused without this header.
    route.fulfill(path=file, headers={"Access-Control-Allow-Origin": "*"})


def exported(browser: Browser, url: str, backend: str) -> tuple[float, Sent]:
    """Seconds to the first picture of `stpyvista()`, imports done, and what was sent for it."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.route(re.compile(r"https://cdn\.(bokeh|holoviz)\.org/"), answer)
    page.goto(url)
    expect(page.get_by_text("warm")).to_be_visible(timeout=TIMEOUT_MS)
    page.wait_for_timeout(2000)
    sent, start = Sent(page), time.perf_counter()
    page.goto(f"{url}?show={backend}")
    canvas = page.frame_locator("#stpyvistaframe").locator("canvas").first
    expect(canvas).to_be_visible(timeout=TIMEOUT_MS)
    seconds = time.perf_counter() - start
    page.wait_for_timeout(1500)
    page.context.close()
    return seconds, sent


def served(browser: Browser, url: str) -> tuple[float, Sent]:
    """The same of the dashboard's second renderer, by its button."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(f"{url}/spine_3d")
    root = page.locator('[data-part="root"]')
    expect(root).to_have_attribute("data-ready", re.compile(r".+"), timeout=TIMEOUT_MS)
    button = page.get_by_role("button", name="Open in PyVista")
    expect(button).to_be_visible(timeout=TIMEOUT_MS)
    page.wait_for_timeout(3000)
    sent, start = Sent(page), time.perf_counter()
    button.click()
    canvas = page.frame_locator("#stpyvistaframe").locator("canvas").first
    expect(canvas).to_be_visible(timeout=TIMEOUT_MS)
    seconds = time.perf_counter() - start
    page.wait_for_timeout(1500)
    page.context.close()
    return seconds, sent


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    backends = [b for b in ("panel", "trame") if importlib.util.find_spec(b) is not None]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        environment = write_scene_place(place, ROOT / "checkpoints")
        (record,) = read_studies(place / "demo")
        sources = scene_sources(read_series(record.folder), "bench", record, None)
        assert sources is not None
        packed = sources.build(place)
        script = PAGE.format(root=str(ROOT), surfaces=str(parts_file(place, packed.key)))
        (place / "page.py").write_text(script)
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        rows: list[tuple[str, float, Sent]] = []
        for backend in backends:
            with serve(place, {}, place / "page.log", Path("page.py")) as url:
                rows += [
                    (f"{backend}, {when}", *exported(browser, url, backend))
                    for when in ("first", "again")
                ]
        with serve(ROOT, environment, place / "scene.log") as url:
            rows += [(f"dashboard, {when}", *served(browser, url)) for when in ("first", "again")]
        browser.close()
    for name, seconds, sent in rows:
        print(
            f"{name:18} {seconds:6.2f} s   {sent.socket / 1e6:5.2f} MB by socket, "
            f"{sent.files / 1e6:5.2f} MB of files"
        )
    if "trame" not in backends:
        print("trame is not installed: no row for it")
    (_, peer, _), (_, own, _) = rows[1], rows[-1]
    print(json.dumps({"name": "second renderer opened again", "peer": "stpyvista() with panel",
                      "ratio": round(peer / own, 2), "seconds": round(own, 2)}))  # fmt: skip


if __name__ == "__main__":
    main()
