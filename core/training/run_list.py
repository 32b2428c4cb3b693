"""Reading run folders: configs, progress and metrics."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import pandas as pd

from core.config import RunConfig, load_run_config
from core.errors import ConfigError, TrainingError
from core.system.movement import MOVEMENT
from core.training.run_notes import RunNotes, read_notes
from core.training.run_status import STALE_SECONDS, RunStatus
from core.training.runs import RunFolder

BLOCK_BYTES: Final = 64 << 10

ShownState = Literal[
    "queued", "preparing", "running", "finished", "stopped", "failed", "crashed", "stalled",
    "unreadable",
]  # fmt: skip
ALIVE: Final = ("queued", "preparing", "running", "stalled")
RESUMABLE: Final = ("stopped", "failed", "crashed", "stalled")
MEMBERS: Final = ("fold-", "trial-")
"""Name prefixes of the runs inside a run over all folds, and inside a sweep."""
LOG_TAIL_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Summary of one run.

    Attributes:
        run_id: Name of the folder, or "<parent>/<name>" for a fold or a trial.
        folder: Folder of the run.
        state: State as written, but "crashed" if the process died without reporting it, and
            "stalled" if it lives but its status has not moved for `STALE_SECONDS` while this
            process looked.
        config: Config of the run; None if it cannot be read.
        status: Status of the run; None if it cannot be read.
        validation_auc: Last AUC on the held-out fold; None if there is none.
        changed: Time of the last heartbeat, in seconds since 1970.
        problem: Why something cannot be read; "" if all can.
        name: Name for display; that of the folder if the user gave none.
        notes: What people have written about it.
    """

    run_id: str
    folder: Path
    state: ShownState
    config: RunConfig | None
    status: RunStatus | None
    validation_auc: float | None
    changed: float
    problem: str = ""
    name: str = ""
    notes: RunNotes = RunNotes()  # noqa: RUF009 - frozen

    @property
    def is_alive(self) -> bool:
        """Whether a process is working on the run."""
        return self.state in ALIVE

    @property
    def can_resume(self) -> bool:
        """Whether `--resume` would continue the run, once a hung process is gone."""
        return self.state in RESUMABLE and self.config is not None


def list_runs(root: Path) -> list[RunSummary]:
    """List the runs below `root`, the most recently active first; none if it is missing."""
    folders = [path for path in _visible_folders(root) if _is_run(path)]
    folders += [fold for path in _visible_folders(root) for fold in _visible_folders(path)
                if fold.name.startswith(MEMBERS) and _is_run(fold)]  # fmt: skip
    return sorted((summarise_run(path, root) for path in folders), key=lambda run: -run.changed)


def summarise_run(folder: Path, root: Path | None = None) -> RunSummary:
    """Read one run's folder; `problem` names what cannot be read."""
    run = RunFolder(folder)
    run_id = folder.name if root is None else folder.relative_to(root).as_posix()
    config, status, notes, problem = None, None, RunNotes(), ""
    try:
        status = run.read_status()
        config = load_run_config(run.config_file)
        status = _with_member_heartbeat(status, config, folder)
        notes = read_notes(folder)
    except (ConfigError, TrainingError) as error:
        problem = str(error)
    return RunSummary(
        run_id=run_id,
        folder=folder,
        state=_shown_state(run, status, config),
        config=config,
        status=status,
        # Without a held-out fold the whole file would be searched in vain.
        validation_auc=None if config and config.fold is None else _last_auc(run.metrics_file),
        changed=status.heartbeat if status else _changed(folder),
        problem=problem,
        name=run.read_name() or run_id,
        notes=notes,
    )


def read_metrics(folder: Path, event: str) -> pd.DataFrame:
    """Read one kind of line of `metrics.jsonl`, in the order of steps.

    Args:
        folder: Folder of the run.
        event: "step", "validation", "epoch" or "resources".

    Returns:
        One row per line; empty if there are none. A line cut off by a crash is left out.
    """
    rows = list(last_metrics(RunFolder(folder).metrics_file, event))
    return pd.DataFrame(rows[::-1])


def read_log_tail(folder: Path, lines: int = 40) -> str:
    """Return the last lines of a run's log, reading only the end of the file."""
    try:
        with RunFolder(folder).log_file.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(stream.tell() - LOG_TAIL_BYTES, 0))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _with_member_heartbeat(
    status: RunStatus | None, config: RunConfig, folder: Path
) -> RunStatus | None:  # fmt: skip
    """The status of a run over all folds, with the latest heartbeat of its folds."""
    if status is None or config.fold != "all" or not status.is_at_work:
        return status
    heartbeat = status.heartbeat
    for member in _visible_folders(folder):
        with contextlib.suppress(TrainingError):
            found = RunFolder(member).read_status() if member.name.startswith(MEMBERS) else None
            heartbeat = max(heartbeat, found.heartbeat if found else 0.0)
    return replace(status, heartbeat=heartbeat)


def _shown_state(run: RunFolder, status: RunStatus | None, config: RunConfig | None) -> ShownState:
    if status is None:
        # A requested run that was never announced.
        return "unreadable" if config is None else "crashed"
    if not status.is_at_work:
        return status.state
    if not run.is_alive(status):
        return "crashed"
    if MOVEMENT.seconds_still(f"{run.folder.absolute()} work", status) > STALE_SECONDS:
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
    """Yield lines of one kind, the last one first, reading the file backwards as needed.

    Args:
        metrics_file: `metrics.jsonl` of a run; may be missing.
        event: "step", "validation" or "epoch".

    Yields:
        Values of a line. A line cut off by a crash is left out.
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
    begun = b""  # End of a line that begins in an earlier block.
    while place > 0:
        size = min(BLOCK_BYTES, place)
        place = stream.seek(place - size)
        begun, *whole = (stream.read(size) + begun).split(b"\n")
        yield from reversed(whole)
    yield begun
