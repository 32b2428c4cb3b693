"""From choosing a study to its verdict in a real browser: seen before, against the first time.

Run with `make bench ARGS=reopen_study`. It serves the dashboard on the demo cohort with an empty
cache and needs an installed Chromium and the cohort that `python -m core demo` makes.
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from core.config import Settings
from scripts.find_chromium import find_chromium
from tests.browser.server import serve

ROOT = Path(__file__).resolve().parent.parent
STUDIES = 4
TIMEOUT_MS = 120_000


def opened(page: Page, number: int) -> float:
    """Seconds from choosing a study to its slice, verdict and profile on the page."""
    page.locator(".st-key-study input").click()
    option = page.get_by_role("option", name=f"Study {number} ", exact=False).first
    option.wait_for()
    old = page.url
    start = time.perf_counter()
    option.click()
    expect(page).not_to_have_url(old, timeout=TIMEOUT_MS)
    drawn = re.compile(r"\d+")
    expect(page.locator("canvas.axial")).to_have_attribute("data-drawn", drawn, timeout=TIMEOUT_MS)
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=TIMEOUT_MS)
    expect(page.locator(".lab-call")).to_be_visible(timeout=TIMEOUT_MS)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    chromium = find_chromium()
    if not Settings().demo_root.is_dir():
        raise SystemExit("There is no demo cohort; run `python -m core demo` first.")
    with tempfile.TemporaryDirectory() as cache, sync_playwright() as playwright:
        log = Path(cache) / "server.log"
        with serve(ROOT, {"RSNA_CACHE": cache}, log) as url:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page()
            page.goto(f"{url}/diagnosis")
            expect(page.locator(".lab-call")).to_be_visible(timeout=TIMEOUT_MS)
            numbers = range(2, 2 + STUDIES)
            first = [opened(page, number) for number in numbers]
            again = [opened(page, number) for _ in range(2) for number in numbers]
            browser.close()
    once, seen = statistics.median(first), statistics.median(again)
    print(f"first time {once:.2f} s, seen before {seen:.2f} s (longest {max(again):.2f} s)")
    figure = {
        "name": "open a study seen before, in the browser",
        "peer": "the same studies the first time",
        "ratio": round(once / seen, 2),
        "seconds": round(seen, 3),
        "longest_seconds": round(max(again), 3),
    }
    print(json.dumps(figure))


if __name__ == "__main__":
    main()
