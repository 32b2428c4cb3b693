"""Start-up and moving about, in a real browser: the first page, and from page to page.

Run with `make bench ARGS=start_up`; it needs an installed Chromium. Measured are the import of
`dashboard` in a fresh interpreter, the first page of a server that has just answered, and the
switches between pages that have been open before: from the click until the page's title stands and
its script has ended, what is drawn later by fragments not waited for.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, expect, sync_playwright

from core.phantom.cohort import write_cohort
from scripts.find_chromium import find_chromium
from tests.browser.server import serve

ROOT: Final = Path(__file__).resolve().parent.parent
TIMEOUT_MS: Final = 300_000
IMPORT_S, FIRST_PAGE_S = 0.5, 2.0
PAGES: Final = ("Overview", "Dataset", "Preprocessing", "Localization", "Training", "Evaluation")
SWITCHES: Final = 30
_IMPORT: Final = (
    "import sys, time; start = time.perf_counter(); import {module}; "
    "print(time.perf_counter() - start, 'torch' in sys.modules)"
)


def import_seconds(module: str, repeats: int) -> float:
    """Median time of an import in fresh interpreters.

    Raises:
        SystemExit: It loads torch.
    """
    taken: list[float] = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT.format(module=module)],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds, torch = done.stdout.split()[-2:]
        if torch == "True":
            raise SystemExit(f"Importing {module} loads torch.")
        taken.append(float(seconds))
    return statistics.median(taken)


def first_page(browser: Browser, url: str) -> float:
    """Seconds from the address to the Overview in a browser that has not been there."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    start = time.perf_counter()
    page.goto(f"{url}/overview")
    expect(page.locator(".lab-pipeline")).to_be_visible(timeout=TIMEOUT_MS)
    seconds = time.perf_counter() - start
    page.context.close()
    return seconds


def switches(browser: Browser, url: str) -> list[float]:
    """Seconds of each switch between two pages, in an order drawn once for all."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(f"{url}/overview")
    for name in PAGES:
        _go(page, name)
        page.wait_for_timeout(3000)
    draw = random.Random(7)
    here, taken = PAGES[-1], []
    for _ in range(SWITCHES):
        here = draw.choice([name for name in PAGES if name != here])
        taken.append(_go(page, here))
        page.wait_for_timeout(1000)
    page.context.close()
    return taken


def _go(page: Page, name: str) -> float:
    link = page.get_by_test_id("stSidebarNavItems").get_by_role("link", name=name)
    expect(link).to_be_visible(timeout=TIMEOUT_MS)
    start = time.perf_counter()
    link.click()
    page.wait_for_url(f"**/{name.lower()}*", timeout=TIMEOUT_MS)
    title = "Is the cervical spine fractured" if name == "Overview" else name
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible(timeout=TIMEOUT_MS)
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=TIMEOUT_MS
    )
    return time.perf_counter() - start


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    alone = import_seconds("dashboard", repeats)
    services = import_seconds("dashboard.studies.open_study", repeats)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        write_cohort(place / "demo", studies=3, seed=5)
        environment = {
            "CSPINE_VAR": str(place), "RSNA_CACHE": str(place / "cache"),
            "CHECKPOINTS": str(ROOT / "checkpoints"),
        }  # fmt: skip
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        firsts, moves = [], []
        for number in range(repeats):
            with serve(ROOT, environment, place / "server.log") as url:
                firsts.append(first_page(browser, url))
                if number == repeats - 1:
                    moves = switches(browser, url)
        browser.close()
    first = statistics.median(firsts)
    middle, late = statistics.median(moves), statistics.quantiles(moves, n=20)[-1]
    print(f"import dashboard: {alone:.3f} s; with what pages share (streamlit, pandas): "
          f"{services:.2f} s; no torch in either")  # fmt: skip
    print(f"first page: {first:.2f} s ({', '.join(f'{s:.2f}' for s in firsts)})")
    print(f"page switch, {len(moves)} of them: median {middle:.2f} s, p95 {late:.2f} s")
    figures = [
        {"name": "import dashboard", "peer": "half a second",
         "ratio": round(IMPORT_S / alone, 2), "target": 1.0, "seconds": round(alone, 3)},
        {"name": "first page once the server is up", "peer": "two seconds",
         "ratio": round(FIRST_PAGE_S / first, 2), "target": 1.0, "seconds": round(first, 2)},
    ]  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
