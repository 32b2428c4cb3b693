"""The slice viewer in a real browser, on a study of 314 slices of 512 × 512 pixels.

Run with `make bench ARGS=viewer_browser`; it needs an installed Chromium. Measured are the time of
a redraw, the first picture of a study that was never opened and of one that is in the store, the
memory of the browser with the study and after it was left, and scrolling against the plain way: a
Streamlit slider whose every step runs the script again and sends a picture.
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core.constants import VERTEBRAE
from core.system import atomic_files
from scripts.find_chromium import find_chromium
from tests.browser.server import serve
from tests.core.dicom.dicom_factory import write_ct_series

ROOT = Path(__file__).resolve().parent.parent
N_SLICES, SIDE, STEPS = 314, 512, 30
TIMEOUT_MS = 300_000
REDRAW_MS, FIRST_PICTURE_S, MEMORY_MB = 16.0, 1.0, 400.0
DRAWN = re.compile(r"\d+")
PEER = """
import streamlit as st
from pathlib import Path
from core.constants import DISPLAY_WINDOWS
from core.types import HuWindow
from dashboard.studies.slice_image import display_image
from dashboard.studies.open_study import open_study
volume = open_study(Path({folder!r})).volume
index = st.slider("Slice", 0, volume.n_slices - 1, 100)
st.image(display_image(volume, index, HuWindow(*DISPLAY_WINDOWS["bone"]), longer_side=768))
st.html(f'<p class="shown">{{index}}</p>')
"""


def write_studies(root: Path) -> list[str]:
    """Two studies as noisy as a scan, which decides how well they compress."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    body = np.where(np.hypot(x, y * 1.2) < 0.8, 40, -1000) + 900 * (np.hypot(x, y) < 0.15)
    names = ["1.2.3.1", "1.2.3.2"]
    for name in names:
        hu = (body + rng.normal(0, 12, (N_SLICES, SIDE, SIDE))).astype(np.int16)
        write_ct_series(
            root / "train_images" / name, hu, spacing_mm=(0.8, 0.4, 0.4), study_uid=name,
            intercept=-1024.0,
        )  # fmt: skip
    header = "StudyInstanceUID,patient_overall," + ",".join(VERTEBRAE)
    rows = "".join(f"{name}{',0' * 8}\n" for name in names)
    atomic_files.write_text(root / "train.csv", f"{header}\n{rows}")
    return names


def first_picture(page: Page, number: int) -> float:
    """Seconds from choosing a study to its first slice on the canvas."""
    before = page.url
    page.locator(".st-key-study input").click()
    option = page.get_by_role("option", name=f"Study {number} ", exact=False).first
    option.wait_for()
    old = page.locator(".viewer").evaluate("root => root.viewer.data.source")
    start = time.perf_counter()
    option.click()
    page.wait_for_function(
        """old => {
            const host = document.querySelector('[data-testid="stBidiComponentIsolated"]');
            const viewer = host?.shadowRoot.querySelector('.viewer')?.viewer;
            return viewer && viewer.data.source !== old
                && viewer.panes.axial.canvas.dataset.drawn !== '';
        }""",
        arg=old,
        polling="raf",
        timeout=TIMEOUT_MS,
    )
    seconds = time.perf_counter() - start
    expect(page).not_to_have_url(before, timeout=TIMEOUT_MS)
    return seconds


def open_first(browser: Browser, url: str) -> Page:
    """Diagnosis with the first study on show."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(f"{url}/diagnosis?study=1.2.3.1")
    axial = page.locator("canvas.axial")
    expect(axial).to_have_attribute("data-drawn", DRAWN, timeout=TIMEOUT_MS)
    return page


def redraw_times(page: Page) -> list[float]:
    """Milliseconds of redraws while the window changes, the axial pane on show alone."""
    page.locator('[data-panes="1"]').click()
    return page.locator(".viewer").evaluate(
        """async root => {
            const viewer = root.viewer;
            const frame = () => new Promise(requestAnimationFrame);
            await frame();
            viewer.times.length = 0;
            for (let step = 0; step < 120; step++) {
                viewer.setWindow(300 + step, 1500 + step);
                await frame();
                await frame();
            }
            return viewer.times.slice();
        }"""
    )


def scroll_viewer(page: Page) -> float:
    """Milliseconds per step with the arrow key, each waited for until it is drawn."""
    axial = page.locator("canvas.axial")
    axial.press("Home")
    expect(axial).to_have_attribute("data-drawn", "0", timeout=TIMEOUT_MS)
    start = time.perf_counter()
    for step in range(1, STEPS + 1):
        page.keyboard.press("ArrowDown")
        page.wait_for_function(
            """step => document.querySelector('[data-testid="stBidiComponentIsolated"]')
                .shadowRoot.querySelector('canvas.axial').dataset.drawn === String(step)""",
            arg=step,
            polling="raf",
        )
    return (time.perf_counter() - start) / STEPS * 1000


def scroll_peer(browser: Browser, url: str) -> float:
    """The same with a slider that runs the script at every step."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url)
    shown = page.locator(".shown")
    expect(shown).to_have_text("100", timeout=TIMEOUT_MS)
    page.get_by_role("slider").focus()
    start = time.perf_counter()
    for step in range(1, STEPS + 1):
        page.keyboard.press("ArrowRight")
        expect(shown).to_have_text(str(100 + step), timeout=TIMEOUT_MS)
    return (time.perf_counter() - start) / STEPS * 1000


def browser_mb(browser: Browser) -> float:
    """Memory that the page's process and the drawing process hold of their own, MB.

    Private pages only: the libraries of the browser are mapped into every process and are neither
    the page's nor the study's.
    """
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()

    def private(kind: str) -> float:
        pids = [int(one["id"]) for one in processes if one["type"] == kind]
        return max((psutil.Process(pid).memory_full_info().uss for pid in pids), default=0) / 1e6

    return private("renderer") + private("GPU")


def held_mb(page: Page) -> float:
    """Pixels that the viewer itself holds in typed arrays and canvases, MB."""
    return page.locator(".viewer").evaluate(
        """root => {
            const { slices, planes, layers, panes } = root.viewer;
            const stores = [slices, ...layers.map(layer => layer.slices)].filter(Boolean);
            const arrays = stores.flatMap(store => [...store.slices.values()])
                .concat([planes, ...layers.map(layer => layer.planes)].map(p => p?.voxels))
                .filter(Boolean).reduce((sum, one) => sum + one.byteLength, 0);
            const drawn = Object.values(panes).flatMap(p => [p.canvas, p.grey.canvas])
                .reduce((sum, canvas) => sum + canvas.width * canvas.height * 4, 0);
            return (arrays + drawn) / 1e6;
        }"""
    )


def turn_to(page: Page, name: str) -> None:
    """Go to another page without loading the app again."""
    page.get_by_test_id("stSidebarNavItems").get_by_role("link", name=name).click()


def memory(browser: Browser, page: Page) -> tuple[float, float, float, float]:
    """MB before a study, at most while it is read through, after it was left; and pixels held."""
    turn_to(page, "Overview")
    expect(page.locator("canvas.axial")).to_have_count(0, timeout=TIMEOUT_MS)
    page.wait_for_timeout(2000)
    page.evaluate("() => window.gc?.()")
    before = browser_mb(browser)
    turn_to(page, "Diagnosis")
    axial = page.locator("canvas.axial")
    expect(axial).to_have_attribute("data-drawn", DRAWN, timeout=TIMEOUT_MS)
    page.locator('[data-panes="3"]').click()
    during = 0.0
    for _ in range(N_SLICES // 10):
        axial.press("PageDown")
        page.wait_for_timeout(120)
        during = max(during, browser_mb(browser))
    page.wait_for_timeout(3000)
    during, held = max(during, browser_mb(browser)), held_mb(page)
    turn_to(page, "Overview")
    expect(page.locator("canvas.axial")).to_have_count(0, timeout=TIMEOUT_MS)
    page.evaluate("() => window.gc?.()")
    page.wait_for_timeout(3000)
    return before, during, browser_mb(browser), held


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        names = write_studies(place / "data")
        environment = {
            "RSNA_ROOT": str(place / "data"),
            "RSNA_CACHE": str(place / "cache"),
            "CHECKPOINTS": str(place / "none"),
        }
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--js-flags=--expose-gc"],
        )
        with serve(ROOT, environment, place / "one.log") as url:
            page = open_first(browser, url)
            cold = first_picture(page, 2)
            redraw = redraw_times(page)
            step = scroll_viewer(page)
            before, during, after, held = memory(browser, page)
            page.close()
        with serve(ROOT, environment, place / "two.log") as url:
            page = open_first(browser, url)
            warm = first_picture(page, 2)
            page.close()
        series = str(place / "data" / "train_images" / names[0])
        atomic_files.write_text(place / "peer.py", PEER.format(folder=series))
        environment["PYTHONPATH"] = str(ROOT)
        with serve(ROOT, environment, place / "peer.log", script=place / "peer.py") as url:
            peer = scroll_peer(browser, url)
        browser.close()
    median, slowest = statistics.median(redraw), float(np.percentile(redraw, 95))
    print(f"redraw at {SIDE} px: median {median:.1f} ms, 95th percentile {slowest:.1f} ms")
    print(f"first picture of {N_SLICES} slices: cold {cold:.2f} s, from the store {warm:.2f} s")
    print(
        f"browser memory: {before:.0f} MB before, {during:.0f} MB at most with, {after:.0f} MB "
        f"after; {held:.0f} MB of pixels held"
    )
    print(f"a step: {step:.1f} ms in the viewer, {peer:.1f} ms with a slider and a picture")
    figures = [
        {
            "name": "scroll by a slice in the browser",
            "peer": "st.slider and st.image",
            "ratio": round(peer / step, 2),
            "milliseconds": round(step, 1),
        },
        {
            "name": "redraw a 512 × 512 slice in another window",
            "peer": "a frame of 16 ms",
            "ratio": round(REDRAW_MS / median, 2),
            "target": 1.0,
            "milliseconds": round(median, 2),
            "p95_milliseconds": round(slowest, 2),
        },
        {
            "name": "study of 314 slices opened, first slice drawn, warm store",
            "peer": "one second",
            "ratio": round(FIRST_PICTURE_S / warm, 2),
            "target": 1.0,
            "seconds": round(warm, 3),
            "cold_seconds": round(cold, 3),
        },
        {
            "name": "browser memory for 314 slices and three panes",
            "peer": "400 MB",
            "ratio": round(MEMORY_MB / max(during - before, 1.0), 2),
            "target": 1.0,
            "megabytes": round(during - before),
            "whole_page_megabytes": round(during),
            "pixels_held_megabytes": round(held),
            "kept_after_leaving_megabytes": round(after - before),
        },
    ]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
