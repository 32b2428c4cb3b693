"""Shared by the benchmarks: how long calls take, and the line of figures that `run` reads."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any


def seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Time of one call.

    Args:
        call: What is timed.
        clock: Wall time; `time.process_time` is not blurred by other programs on the machine.
    """
    start = clock()
    call()
    return clock() - start


def medians(
    *calls: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Median time of each call; they take turns.

    Args:
        calls: What is timed.
        repeats: Turns.
        clock: As for `seconds`.
    """
    times = [[seconds(call, clock) for call in calls] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def figure(name: str, peer: str, ratio: float, target: float | None = None) -> dict[str, Any]:
    """One figure of a benchmark.

    Args:
        name: What is measured.
        peer: What it is measured against.
        ratio: How many times better than the peer.
        target: Smallest ratio that meets the claim; None where none is claimed.
    """
    return {"name": name, "peer": peer, "ratio": round(ratio, 2), "target": target}


def print_figures(*figures: dict[str, Any]) -> None:
    """Print the figures as the last line of a benchmark."""
    print(json.dumps(figures))
