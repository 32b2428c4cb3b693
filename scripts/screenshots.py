"""`make screenshots`: a picture of every page for the README and docs, from the real dashboard.

Each page is opened by a link; its picture is taken once its main content is shown. Pictures are
WebP, small enough to keep in git.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from core.config import Settings
from core.dataset.rsna import read_studies
from dashboard.tour.stops import example_study
from scripts.find_chromium import find_chromium

ROOT: Final = Path(__file__).resolve().parent.parent
OUT: Final = ROOT / "docs" / "images"
MAX_BYTES: Final = 200_000
START_SECONDS: Final = 240
READY_MS: Final = 240_000
"""The first page with networks imports torch and runs them."""
VIEW: Final = {"width": 1440, "height": 900}


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture.

    Attributes:
        name: File name without its suffix.
        path: Path and query after the server's address.
        ready: CSS selector of the main content, present once the picture can be taken.
        height: Height of the window in pixels.
        settle_ms: Extra wait for charts and scenes to be drawn.
        on_study: Whether it opens the study with the most findings.
    """

    name: str
    path: str
    ready: str
    height: int = 900
    settle_ms: int = 2500
    on_study: bool = False


SHOTS: Final = (
    Shot("overview", "/overview", ".lab-pipeline"),
    Shot("dataset", "/dataset", ".st-key-dataset_charts .js-plotly-plot"),
    Shot("training", "/training", ".st-key-plan .js-plotly-plot"),
    Shot(
        "evaluation", "/evaluation?level=slice", ".st-key-ev_roc_stack .js-plotly-plot", 1400, 4000
    ),
    Shot("tour", "/dataset?tour=1&present=1", ".st-key-dataset_charts .js-plotly-plot"),
    Shot("reader_study", "/reader_study", ".st-key-reader_join"),
    Shot("preprocessing", "/preprocessing", ".st-key-preview img", 1100, on_study=True),
    Shot("diagnosis", "/diagnosis", ".lab-call", 1100, 4000, on_study=True),
    # After Diagnosis, which runs the networks on the study.
    Shot("spine_3d", "/spine_3d", "canvas", 1100, 8000, on_study=True),
    Shot("localization", "/localization", "canvas.axial", 1300, 6000, on_study=True),
)


class ScreenshotError(Exception):
    """A picture cannot be taken; the message says what to do."""


@contextmanager
def serve() -> Iterator[str]:
    """Serve the dashboard on a free port for as long as the pictures take.

    Raises:
        ScreenshotError: It does not answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    command += ["--server.port", str(port), "--server.headless", "true"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health"):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise ScreenshotError(
        "The dashboard did not answer; `make run` shows why. Fix that and take the pictures again."
    )


def take(browser: Browser, url: str, shot: Shot, scheme: str = "light", width: int = 1440) -> bytes:
    """Open a page and take its picture.

    Args:
        browser: Chromium.
        url: Address of the server.
        shot: The page and what to wait for.
        scheme: "light" or "dark".
        width: Width of the window in pixels.

    Returns:
        The picture as PNG.

    Raises:
        ScreenshotError: The page does not show its main content.
    """
    context = browser.new_context(
        viewport={"width": width, "height": shot.height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    try:
        page.goto(f"{url}{shot.path}{_study() if shot.on_study else ''}")
        page.locator(shot.ready).first.wait_for(timeout=READY_MS)
        _settle(page, shot.settle_ms)
        return page.screenshot()
    except TimeoutError as error:
        raise ScreenshotError(
            f"The page {shot.name} did not show {shot.ready} within {READY_MS // 1000} s; open it "
            "and see what it shows instead."
        ) from error
    finally:
        context.close()


def _study() -> str:
    """Query that opens the study with the most findings."""
    study = example_study(read_studies(Settings().data_root))
    return "" if study is None else f"?study={study}"


def _settle(page: Page, extra_ms: int) -> None:
    idle = page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')
    idle.wait_for(timeout=READY_MS)
    page.wait_for_timeout(extra_ms)
    idle.wait_for(timeout=READY_MS)


def compressed(png: bytes) -> bytes:
    """Compress the picture as WebP of at most `MAX_BYTES`, at the best quality that fits.

    Raises:
        ScreenshotError: Even the lowest quality is larger.
    """
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ScreenshotError("The browser gave no picture; take the pictures again.")
    for quality in (90, 80, 70, 60, 50, 40):
        done, encoded = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])
        if done and encoded.nbytes <= MAX_BYTES:
            return encoded.tobytes()
    raise ScreenshotError(f"A picture is larger than {MAX_BYTES:,} bytes; make its page shorter.")


def take_all(out: Path, names: list[str], scheme: str, width: int) -> None:
    """Take the requested pictures.

    Raises:
        ChromiumMissingError: There is no browser.
        ScreenshotError: The dashboard does not answer, or a picture fails.
    """
    path = find_chromium()
    out.mkdir(parents=True, exist_ok=True)
    with serve() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        for shot in SHOTS:
            if names and shot.name not in names:
                continue
            picture = compressed(take(browser, url, shot, scheme, width))
            (out / f"{shot.name}.webp").write_bytes(picture)
            print(f"{shot.name}.webp  {len(picture) / 1000:.0f} kB")
        browser.close()


def main() -> int:
    """Take the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these pages", metavar="PAGE")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--width", type=int, default=VIEW["width"])
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {shot.name for shot in SHOTS}:
        print(f"There is no page {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    try:
        take_all(arguments.out, arguments.names, arguments.scheme, arguments.width)
    except ScreenshotError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
