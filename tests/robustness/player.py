"""Plays cases in a process that can be killed, and counts what became of them."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import WorkerError
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorker
from tests.robustness.families import FAMILIES
from tests.robustness.verdicts import HANG_SECONDS, PEAK_BYTES, Family, Verdict

ADDRESS_SPACE = 8 << 30
"""Beyond what any case may need; the peak is measured, not enforced."""
STUCK_SECONDS = 120.0
"""Wall-clock time after which a case is killed. Hangs are detected by processor time, which a busy
machine does not stretch; what waits for ever without computing ends here."""


@dataclass(slots=True)
class Tally:
    """What became of the cases of one family.

    Attributes:
        name: Of the family.
        kinds: Cases by verdict.
        failures: Number, verdict and detail of those that went badly.
        slowest: Processor seconds of the slowest case.
        peak: Bytes of resident memory at the hungriest.
        seconds: Over all cases.
    """

    name: str
    kinds: Counter[str] = field(default_factory=Counter[str])
    failures: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    slowest: float = 0.0
    peak: int = 0
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        return sum(self.kinds.values())


def play(request: Mapping[str, Any], _progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Play one case in this process: the task of the confined worker."""
    logging.disable(logging.CRITICAL)
    family = FAMILIES[request["family"]]
    place = Path(tempfile.mkdtemp(prefix="fuzz-"))
    family.prepare()
    _forget_peak()
    start = time.process_time()
    try:
        verdict = family.play(int(request["number"]), place)
    finally:
        seconds = time.process_time() - start
        shutil.rmtree(place, ignore_errors=True)
    return {"kind": verdict.kind, "detail": verdict.detail, "seconds": seconds, "peak": _peak()}


def play_all(
    family: Family,
    numbers: Iterable[int],
    worker: ConfinedWorker,
    progress: Callable[[int], None] | None = None,
) -> Tally:
    """Play cases of a family and count the verdicts."""
    tally = Tally(family.name)
    begin = time.perf_counter()
    for number in numbers:
        start = time.perf_counter()
        try:
            said = worker.call({"family": family.name, "number": number})
            verdict = Verdict(said["kind"], said["detail"])
            seconds, peak = said["seconds"], said["peak"]
        except WorkerError as error:
            seconds, peak = time.perf_counter() - start, 0
            verdict = Verdict("hang" if seconds >= STUCK_SECONDS else "crash", str(error))
        if not verdict.bad and seconds >= HANG_SECONDS:
            verdict = Verdict("hang", f"{verdict.detail}: {seconds:.1f} s")
        if not verdict.bad and peak >= PEAK_BYTES:
            verdict = Verdict("memory", f"{verdict.detail}: {peak >> 20} MiB")
        tally.kinds[verdict.kind] += 1
        tally.slowest = max(tally.slowest, seconds)
        tally.peak = max(tally.peak, peak)
        if verdict.bad:
            tally.failures.append((number, verdict.kind, verdict.detail))
        if progress is not None:
            progress(number)
    tally.seconds = time.perf_counter() - begin
    return tally


def new_worker() -> ConfinedWorker:
    """The process that plays; started again after a case has killed it or hung."""
    return ConfinedWorker(play, Limits(ADDRESS_SPACE, STUCK_SECONDS))


def _forget_peak() -> None:
    """Start the measurement of the peak again (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Most resident bytes since `_forget_peak`; 0 if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)
