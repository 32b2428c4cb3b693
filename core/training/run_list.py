"""Reading runs back: what they are, how far they came, and what they measured."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import pandas as pd

from core.config import RunConfig, load_run_config
from core.errors import ConfigError, TrainingError
from core.training.runs import STALE_SECONDS, RunFolder, RunStatus

BLOCK_BYTES: Final = 64 << 10

ShownState = Literal[
    "queued", "preparing", "running", "finished", "stopped", "failed", "crashed", "stalled",
    "unreadable",
]  # fmt: skip
RESUMABLE: Final = ("stopped", "failed", "crashed", "stalled")
MEMBERS: Final = ("fold-", "trial-")
"""What the runs inside a run over all folds, and inside a sweep, are called."""
LOG_TAIL_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run as a list shows it.

    Attributes:
        run_id: Its folder's name, or "<parent>/<name>" for a fold or a trial.
        folder: The run.
        state: As written, but "crashed" where the process died without a word and "stalled"
            where it lives and has not given a sign for `STALE_SECONDS`.
        config: None where it cannot be read.
        status: None where it cannot be read.
        validation_auc: The last one on the held-out fold; None where there is none.
        changed: Seconds since 1970 of the last sign of life.
        problem: Why something cannot be read; "" where all can.
    """

    run_id: str
    folder: Path
    state: ShownState
    config: RunConfig | None
    status: RunStatus | None
    validation_auc: float | None
    changed: float
    problem: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether a process is at work on it."""
        return self.status is not None and self.status.is_at_work and self.status.is_alive

    @property
    def can_resume(self) -> bool:
        """Whether `--resume` would go on with it, once a hung process of it is gone."""
        return self.state in RESUMABLE and self.config is not None


def list_runs(root: Path) -> list[RunSummary]:
    """List the runs below `root`, the most recently active first; none where it is missing."""
    folders = [path for path in _visible_folders(root) if _is_run(path)]
    folders += [fold for path in _visible_folders(root) for fold in _visible_folders(path)
                if fold.name.startswith(MEMBERS) and _is_run(fold)]  # fmt: skip
    return sorted((summarise_run(path, root) for path in folders), key=lambda run: -run.changed)


def summarise_run(folder: Path, root: Path | None = None) -> RunSummary:
    """Read one run's folder; what cannot be read is said in `problem`."""
    run = RunFolder(folder)
    run_id = folder.name if root is None else folder.relative_to(root).as_posix()
    config, status, problem = None, None, ""
    try:
        status = run.read_status()
        config = load_run_config(run.config_file)
        status = _with_members_sign(status, config, folder)
    except (ConfigError, TrainingError) as error:
        problem = str(error)
    return RunSummary(
        run_id=run_id,
        folder=folder,
        state=_shown_state(status, config),
        config=config,
        status=status,
        # Without held-out patients the whole file would be searched for what is not there.
        validation_auc=None if config and config.fold is None else _last_auc(run.metrics_file),
        changed=status.heartbeat if status else _changed(folder),
        problem=problem,
    )


def read_metrics(folder: Path, event: str) -> pd.DataFrame:
    """Read one kind of line of `metrics.jsonl`, in the order of steps.

    Args:
        folder: The run.
        event: "step", "validation" or "epoch".

    Returns:
        One row a line; empty where there are none. A line cut off by a crash is left out.
    """
    rows: list[dict[str, Any]] = []
    try:
        text = RunFolder(folder).metrics_file.read_text(errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.get("event") == event:
            rows.append(row)
    return pd.DataFrame(rows)


def read_log_tail(folder: Path, lines: int = 40) -> str:
    """Give the last lines of a run's log, reading no more of it than its end."""
    try:
        with RunFolder(folder).log_file.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(stream.tell() - LOG_TAIL_BYTES, 0))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _with_members_sign(
    status: RunStatus | None, config: RunConfig, folder: Path
) -> RunStatus | None:  # fmt: skip
    """A run over all folds gives a sign of life by the fold that it trains or prepares."""
    if status is None or config.fold != "all" or not status.is_at_work:
        return status
    heartbeat = status.heartbeat
    for member in _visible_folders(folder):
        with contextlib.suppress(TrainingError):
            found = RunFolder(member).read_status() if member.name.startswith(MEMBERS) else None
            heartbeat = max(heartbeat, found.heartbeat if found else 0.0)
    return replace(status, heartbeat=heartbeat)


def _shown_state(status: RunStatus | None, config: RunConfig | None) -> ShownState:
    if status is None:
        # A run that was asked for, and whose process never came to write a word.
        return "unreadable" if config is None else "crashed"
    if not status.is_at_work:
        return status.state
    if not status.is_alive:
        return "crashed"
    if time.time() - status.heartbeat > STALE_SECONDS:
        return "stalled"
    return status.state


def _last_auc(metrics_file: Path) -> float | None:
    measured = (row.get("auc") for row in last_metrics(metrics_file, "validation"))
    known = next((auc for auc in measured if auc is not None), None)
    return None if known is None else float(known)


def _visible_folders(root: Path) -> list[Path]:
    try:
        return [p for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    except OSError:
        return []


def _is_run(folder: Path) -> bool:
    run = RunFolder(folder)
    return run.config_file.is_file() or run.status_file.is_file()


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def last_metrics(metrics_file: Path, event: str) -> Iterator[dict[str, Any]]:
    """Lines of one kind, the last one first; reads only as far back as they are taken.

    Args:
        metrics_file: `metrics.jsonl` of a run; none is as good as an empty one.
        event: "step", "validation" or "epoch".

    Yields:
        A line's values. A line cut off by a crash is left out.
    """
    try:
        with metrics_file.open("rb") as stream:
            for line in _lines_from_end(stream):
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict) and row.get("event") == event:
                    yield row
    except OSError:
        return


def _lines_from_end(stream: BinaryIO) -> Iterator[bytes]:
    place = stream.seek(0, os.SEEK_END)
    begun = b""  # The end of a line whose beginning lies in a block before.
    while place > 0:
        size = min(BLOCK_BYTES, place)
        place = stream.seek(place - size)
        begun, *whole = (stream.read(size) + begun).split(b"\n")
        yield from reversed(whole)
    yield begun
