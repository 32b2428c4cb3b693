"""Every case of every family, counted: `python -m tests.robustness.fuzz` (`make fuzz`).

Prints a table, writes `var/fuzz.json`, and ends with 1 where a case went badly. `--family NAME`
and `--case N` repeat one of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.system.atomic_files import write_json
from tests.robustness.families import FAMILIES
from tests.robustness.player import Tally, new_worker, play_all
from tests.robustness.verdicts import BAD, GOOD, SEED

OUT = Path(__file__).resolve().parents[2] / "var" / "fuzz.json"
SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", action="append", choices=list(FAMILIES))
    parser.add_argument("--case", type=int, action="append")
    parser.add_argument("--quick", action="store_true", help="the subset that `make test` plays")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    tallies: list[Tally] = []
    for name in options.family or list(FAMILIES):
        family = FAMILIES[name]
        numbers = options.case or (family.quick if options.quick else range(family.cases))
        # A process of its own: what one family has loaded is no memory of the next one's cases.
        worker = new_worker()
        try:
            tally = play_all(family, numbers, worker, _tell)
        finally:
            worker.close()
        tallies.append(tally)
        _say(f"\r{name:16} {tally.cases:5} cases  {tally.seconds:6.1f} s\n", sys.stderr)
        for number, kind, detail in tally.failures[:SHOWN]:
            _say(f"  case {number}: {kind}: {detail}\n", sys.stderr)
    _say(render(tallies) + "\n")
    if options.case is None:
        write_json(options.out, as_json(tallies))
        _say(f"Written to {options.out}\n", sys.stderr)
    return int(any(tally.failures for tally in tallies))


def render(tallies: Sequence[Tally]) -> str:
    """The table, in Markdown."""
    kinds = [*GOOD, *BAD]
    heads = ["family", "cases", *kinds, "slowest s", "peak MiB"]
    rows = [
        [t.name, f"{t.cases:,}", *(str(t.kinds[k]) for k in kinds), f"{t.slowest:.1f}",
         f"{t.peak >> 20}"]
        for t in tallies
    ]  # fmt: skip
    total = [sum(t.kinds[k] for t in tallies) for k in kinds]
    cases = sum(t.cases for t in tallies)
    slowest, peak = max(t.slowest for t in tallies), max(t.peak for t in tallies)
    rows.append(["all", f"{cases:,}", *map(str, total), f"{slowest:.1f}", f"{peak >> 20}"])
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_json(tallies: Sequence[Tally]) -> dict[str, Any]:
    """The figures and where they were measured."""
    return {
        "seed": SEED,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"system": platform.platform(), "cpus": os.cpu_count(),
                    "python": platform.python_version()},
        "verdicts": {**GOOD, **BAD},
        "families": [
            {"name": t.name, "cases": t.cases, "kinds": dict(t.kinds), "failures": t.failures,
             "slowest_s": round(t.slowest, 2), "peak_mib": t.peak >> 20,
             "seconds": round(t.seconds, 1)}
            for t in tallies
        ],
    }  # fmt: skip


def _tell(number: int) -> None:
    if sys.stderr.isatty() and number % 10 == 0:
        _say(f"\rcase {number}", sys.stderr)


def _say(words: str, stream: Any = None) -> None:
    (stream or sys.stdout).write(words)


if __name__ == "__main__":
    sys.exit(main())
