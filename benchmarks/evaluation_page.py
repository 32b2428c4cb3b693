"""The Evaluation page at the real set's size in Chromium: load, a dragged slider, memory.

Run with `make bench ARGS=evaluation_page`. A made-up set of 2,019 studies and 711,601 slices with
four models is opened at slice level. While the slider is dragged, a frame is the time in which the
browser counts, rewrites the page and lays it out; nothing is sent. A release is a press of an arrow
key until the server has answered: the button that takes the move back is enabled. The peers are the
limits of the design: 16 ms for a frame, 2 s until the board can be used (its counts are in the
browser, its marks on the curves), 1 GiB. A busy machine misses them, so its load is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.inputs.full_size_scores import (
    MODELS,
    SLICES,
    STUDIES,
    TRUTH,
    TRUTH_SLICES,
    write_full_size,
)
from scripts.find_chromium import find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import WebSocket

ROOT = Path(__file__).resolve().parent.parent
LOAD_LIMIT_S, FRAME_LIMIT_MS, MEMORY_LIMIT_MIB = 2.0, 16.0, 1024.0
IMPORTS_MS = 30_000
"""By then the pages' modules are imported, which begins some seconds after the first page."""
DRAG = """async frames => {
  const find = (root) => root.querySelector('.board') ?? [...root.querySelectorAll('*')]
    .map((one) => one.shadowRoot && find(one.shadowRoot)).find(Boolean);
  const { sliders } = find(document).board;
  const [slider] = sliders.ranges;
  const work = [], pause = () => new Promise(requestAnimationFrame);
  sliders.held = true;
  for (let k = 0; k < frames; k++) {
    await pause();
    slider.value = 0.1 + 0.8 * Math.abs(Math.sin(k / 40));
    const start = performance.now();
    slider.dispatchEvent(new Event('input'));
    cancelAnimationFrame(sliders.frame);
    sliders.frame = 0;
    sliders.show();
    document.body.getBoundingClientRect();
    work.push(performance.now() - start);
  }
  return work;
}"""
"""Moves the slider as its events would, one position a frame."""


def write_place(root: Path, studies: int, slices: int) -> None:
    """Bundles without weights that carry the made-up predictions."""
    tables = write_full_size(root / "made", studies=studies, slices=slices)
    cohorts = root / "checkpoints" / "cohorts"
    cohorts.mkdir(parents=True)
    shutil.move(root / "made" / TRUTH, cohorts / "held_out.parquet")
    shutil.move(root / "made" / TRUTH_SLICES, cohorts / "held_out_slices.parquet")
    for number, (table, (_, kind, _)) in enumerate(zip(tables, MODELS, strict=True)):
        folder = root / "checkpoints" / f"fracture_made_{number}"
        (folder / "predictions").mkdir(parents=True)
        shutil.move(table, folder / "predictions" / "held_out.parquet")
        config = {
            "name": folder.name, "task": "fracture", "type": kind, "backbone": "googlenet",
            "size": 32, "crop": 1.0, "window_center": 400, "window_width": 1800,
            "weights_sha256": "0" * 64, "parameters": 1, "trained_on": {"synthetic": True},
            "created": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "model.safetensors").write_bytes(b"")


@contextlib.contextmanager
def serving(root: Path, port: int | None) -> Iterator[tuple[str, int]]:
    """Start the dashboard on the place; gives its URL and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port or 0))
        chosen = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if key != "RSNA_ROOT"} | {
        "CSPINE_VAR": str(root / "var"),
        "RSNA_CACHE": str(root / "var" / "cache"),
        "CHECKPOINTS": str(root / "checkpoints"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port",
         str(chosen), "--server.headless", "true"],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{chosen}"
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health"):
                break
            time.sleep(0.2)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(timeout=20)


def resident_mib(pid: int) -> float:
    """Memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("The memory of the server cannot be read; this benchmark needs Linux.")


def processor_s(pid: int) -> float:
    """Processor time of a process so far, in seconds; unlike time, other work hardly changes it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(url: str, pid: int, moves: int, level: str) -> dict[str, Any]:
    """Open the page and move the slider; times in seconds and milliseconds."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        sockets: list[WebSocket] = []
        # The program's own start, its imports above all, is not the page's.
        page.goto(f"{url}/overview")
        page.get_by_text("Is the cervical spine fractured").first.wait_for(timeout=120_000)
        page.wait_for_timeout(IMPORTS_MS)
        start, used = time.perf_counter(), processor_s(pid)
        page.on("websocket", lambda socket: sockets.append(socket))
        page.goto(f"{url}/evaluation?level={level}")
        page.locator(".lab-what-if").wait_for(timeout=120_000)
        page.locator(".st-key-ev_pr_stack .lab-mark").first.wait_for(timeout=120_000)
        page.locator(".board[data-ready=yes]").wait_for(timeout=120_000)
        loaded, used = time.perf_counter() - start, processor_s(pid) - used
        page.locator(".st-key-ev_csv_out").wait_for(timeout=600_000)
        complete = time.perf_counter() - start
        # Intervals are computed in the background; a move is measured once they are there.
        page.get_by_text("resamples are being drawn").wait_for(state="hidden", timeout=900_000)
        page.locator(".board[data-whole=yes]").wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        sockets[0].on("framesent", lambda _: sent.append("frame"))
        frames = page.evaluate(DRAG, moves)
        requests = len(sent)
        start = time.perf_counter()
        page.get_by_role("slider").first.press("ArrowRight")
        page.locator(".st-key-ev_back button:enabled").wait_for(timeout=60_000)
        release = time.perf_counter() - start
        start = time.perf_counter()
        page.reload()
        page.locator(".st-key-ev_pr_stack .lab-mark").first.wait_for(timeout=120_000)
        again = time.perf_counter() - start
        browser.close()
    return {
        "load_s": loaded, "load_processor_s": used, "complete_s": complete, "reload_s": again,
        "frames_ms": frames, "requests": requests, "release_s": release,
    }  # fmt: skip


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--slices", type=int, default=SLICES)
    parser.add_argument("--moves", type=int, default=600)
    parser.add_argument("--level", default="slice")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_place(root, options.studies, options.slices)
        with serving(root, options.port) as (url, pid):
            found = measure(url, pid, options.moves, options.level)
            memory = resident_mib(pid)
    frames = sorted(found["frames_ms"])
    median, p95 = statistics.median(frames), frames[int(0.95 * (len(frames) - 1))]
    size = f"{options.slices:,} slices, four models"
    print(f"{size}: a usable board after {found['load_s']:.2f} s at the first load,")
    print(f"with {found['load_processor_s']:.2f} s of the server's processor time;")
    print(
        f"all charts after {found['complete_s']:.2f} s; at a second load {found['reload_s']:.2f} s"
    )
    print(f"{len(frames)} frames of a drag: median {median:.1f} ms, p95 {p95:.1f} ms, "
          f"{found['requests']} requests; the server answers a release in "
          f"{found['release_s']:.2f} s")  # fmt: skip
    print(f"memory of the server {memory:.0f} MiB; load average {os.getloadavg()[0]:.1f}")
    limits = (
        (f"threshold dragged, everything redrawn: {size} (p95)", p95, FRAME_LIMIT_MS, "ms"),
        (f"Evaluation page loaded: {size}", found["load_s"], LOAD_LIMIT_S, "s"),
        (f"memory of the server: {size}", memory, MEMORY_LIMIT_MIB, "MiB"),
    )
    print(
        json.dumps(
            [
                {"name": name, "measured": round(value, 3), "peer": f"{limit:g} {unit}",
                 "ratio": round(limit / value, 2), "target": 1.0}
                for name, value, limit, unit in limits
            ]
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
