"""Run every benchmark as its own process, print one table, keep the figures in results.json.

Run with `make bench`; `make bench ARGS=read_series` runs one. A benchmark is a script next to this
file that measures the program and its peer in the same run and ends its output with one JSON line:
{"name": …, "peer": …, "ratio": 3.4, "target": 3.0}, or a list of such objects.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results.json"


def scripts(chosen: list[str]) -> list[Path]:
    """Benchmark scripts in the order of their names; all of them if none is chosen."""
    found = [
        f for f in sorted(HERE.glob("*.py"))
        if f != Path(__file__).resolve() and "__main__" in f.read_text()
    ]  # fmt: skip
    unknown = sorted(set(chosen) - {file.stem for file in found})
    if unknown:
        known = ", ".join(file.stem for file in found)
        raise SystemExit(f"No benchmark is called {', '.join(unknown)}; there are {known}.")
    return [file for file in found if not chosen or file.stem in chosen]


def figures(output: str) -> list[dict[str, Any]]:
    """The figures in the last JSON line of a benchmark's output, none where it has no such line."""
    for line in reversed(output.splitlines()):
        if not line.lstrip().startswith(("{", "[")):
            continue
        try:
            value = json.loads(line)
        except ValueError:
            continue
        values = value if isinstance(value, list) else [value]
        return [v for v in values if isinstance(v, dict) and "ratio" in v]
    return []


def measure(script: Path) -> dict[str, Any]:
    """Run one benchmark; its text goes to the terminal as well."""
    print(f"\n== {script.stem}", flush=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    return {
        "benchmark": script.stem,
        "exit_status": done.returncode,
        "seconds": round(time.perf_counter() - started, 1),
        "figures": figures(done.stdout),
    }


def table(results: list[dict[str, Any]]) -> str:
    """One row per figure: name, peer, ratio, target and whether it is met."""
    rows = [("claim", "against", "ratio", "target", "")]
    for result in results:
        name = result["benchmark"]
        if result["exit_status"] != 0:
            rows.append((name, "", "", "", f"FAILED with status {result['exit_status']}"))
        elif not result["figures"]:
            rows.append((name, "", "", "", "no figures"))
        for figure in result["figures"]:
            target = figure.get("target")
            verdict = "" if target is None else "met" if figure["ratio"] >= target else "MISSED"
            rows.append(
                (
                    str(figure.get("name", name)),
                    str(figure.get("peer", "")),
                    f"{figure['ratio']:.2f}×",
                    "" if target is None else f"{target:g}×",
                    verdict,
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in rows
    )


def main() -> int:
    """Measure, print and keep; returns 1 where a benchmark failed to run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="file names without .py; all if left out")
    results = [measure(script) for script in scripts(parser.parse_args().names)]
    print(f"\n{table(results)}")
    machine = {
        "platform": platform.platform(terse=True),
        "processor_count": os.cpu_count(),
        "python": platform.python_version(),
    }
    RESULTS.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")
    return int(any(result["exit_status"] != 0 for result in results))


if __name__ == "__main__":
    sys.exit(main())
