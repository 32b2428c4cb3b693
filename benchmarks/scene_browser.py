"""The 3D scene in a real browser: how long until it stands, and how much is sent for it.

Run with `make bench ARGS=scene_browser`; it needs an installed Chromium, which draws by software.
Measured are the first scene of a study whose surfaces were never built, on a server just started,
the same from the cache in a page of its own, and the bytes of the scene's routes: medians of
`--repeats` servers. A scene counts as there once its first picture is finished: vertebrae, boxes
and fracture lines; the translucent bone follows it.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect, sync_playwright

from scripts.find_chromium import find_chromium
from tests.browser.scene_place import write_scene_place
from tests.browser.server import serve

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_MS = 300_000
FIRST_S, CACHED_S, SENT_MB = 3.0, 1.0, 4.0


def open_scene(browser: Browser, url: str) -> tuple[float, float, float]:
    """Seconds from the click on the page's name and in the browser alone, and megabytes sent."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    urls: dict[str, str] = {}
    sent: list[float] = []

    def answered(event: dict[str, Any]) -> None:
        urls[event["requestId"]] = event["response"]["url"]

    def finished(event: dict[str, Any]) -> None:
        if "/scenes/" in urls.get(event["requestId"], ""):
            sent.append(event["encodedDataLength"])

    session.on("Network.responseReceived", answered)
    session.on("Network.loadingFinished", finished)
    # The series is read on another page first: what is timed is the scene alone.
    page.goto(f"{url}/preprocessing")
    expect(page.locator("canvas.axial")).to_have_attribute(
        "data-drawn", re.compile(r"\d+"), timeout=TIMEOUT_MS
    )
    page.wait_for_timeout(2000)
    start = time.perf_counter()
    page.get_by_test_id("stSidebarNavItems").get_by_role("link", name="3D spine").click()
    root = page.locator('[data-part="root"]')
    expect(root).to_have_attribute("data-ready", re.compile(r".+"), timeout=TIMEOUT_MS)
    seconds = time.perf_counter() - start
    page.wait_for_timeout(1500)
    alone = float(root.get_attribute("data-seconds") or "nan")
    page.context.close()
    return seconds, alone, sum(sent) / 1e6


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        environment = write_scene_place(place, ROOT / "checkpoints")
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        firsts, later = [], []
        for _ in range(repeats):
            shutil.rmtree(Path(environment["RSNA_CACHE"]) / "surfaces", ignore_errors=True)
            with serve(ROOT, environment, place / "scene.log") as url:
                firsts.append(open_scene(browser, url))
                later.append(open_scene(browser, url))
        browser.close()
    first, first_alone, megabytes = (
        statistics.median(column) for column in zip(*firsts, strict=True)
    )
    cached, cached_alone, _ = (statistics.median(column) for column in zip(*later, strict=True))
    said = [", ".join(f"{seconds:.2f}" for seconds, _, _ in each) for each in (firsts, later)]
    print(f"first scene: {first:.2f} s ({said[0]}), {first_alone:.2f} s since the page had it")
    print(f"from the cache: {cached:.2f} s ({said[1]}), {cached_alone:.2f} s since then")
    print(f"sent: {megabytes:.2f} MB")
    figures = [
        {"name": "first 3D scene of a study", "peer": "three seconds",
         "ratio": round(FIRST_S / first, 2), "target": 1.0, "seconds": round(first, 2)},
        {"name": "3D scene from the cache", "peer": "one second",
         "ratio": round(CACHED_S / cached, 2), "target": 1.0, "seconds": round(cached, 2)},
        {"name": "bytes sent for a 3D scene", "peer": "4 MB",
         "ratio": round(SENT_MB / max(megabytes, 1e-3), 2), "target": 1.0,
         "megabytes": round(megabytes, 2)},
    ]  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
