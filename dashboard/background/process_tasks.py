"""Work on data sets as processes of their own: indexing, and making synthetic studies.

A task is a folder below `var/tasks` with what was asked for and how far it has come. It outlives a
browser tab and a dashboard restart; asked for twice, it is done once and joined.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from core.config import Settings
from core.errors import StorageError, TaskError
from core.system.atomic_files import write_json
from core.system.disk_space import check_space
from core.system.process_identity import is_same_process, process_identity
from dashboard.background.processes import start_apart
from dashboard.session.access import refusal

Kind = Literal["index", "phantom"]
State = Literal["running", "finished", "failed", "stopped"]

REQUEST_FILE: Final = "task.json"
PROGRESS_FILE: Final = "progress.json"
OUTPUT_FILE: Final = "output.log"
KEPT: Final = 20
"""Finished tasks whose folders are kept."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task as it stands now.

    Attributes:
        folder: Its files.
        kind: What is done.
        target: The data root it is done to.
        state: "stopped" where its process ended before the work did.
        done: Studies finished.
        total: Studies in all; 0 until that is known.
        first_done: Studies that were finished when it began.
        started: Seconds since 1970.
        updated: When it told of itself last.
        message: Why it failed; "" otherwise.
        pid: Its process, the leader of its own group.
    """

    folder: Path
    kind: Kind
    target: Path
    state: State
    done: int
    total: int
    first_done: int
    started: float
    updated: float
    message: str
    pid: int

    @property
    def is_alive(self) -> bool:
        """Whether its process is at work."""
        return self.state == "running"

    @property
    def share_done(self) -> float:
        """In [0, 1]; 0 before the total is known."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time to go at the pace so far; None before there is a pace."""
        made = self.done - self.first_done
        if made <= 0 or self.updated <= self.started:
            return None
        return (self.updated - self.started) / made * (self.total - self.done)


def start_index(root: Path) -> Task:
    """Index a data root in the background, or join the task that does.

    Raises:
        TaskError: The dashboard is read-only, or the process cannot be started.
        StorageError: `var` cannot be written.
    """
    return _start("index", root, [])


def start_phantom(root: Path, *, studies: int, seed: int, matrix: int, rsna_like: bool) -> Task:
    """Make synthetic studies below `root` in the background, or go on with those begun there.

    Raises:
        TaskError: The dashboard is read-only, or the process cannot be started.
        StorageError: `var` cannot be written.
    """
    options = ["--studies", str(studies), "--seed", str(seed), "--matrix", str(matrix)]
    return _start("phantom", root, [*options, *(["--rsna-like"] if rsna_like else [])])


def resume_phantom(root: Path) -> Task:
    """Go on with studies that were cancelled or failed, as they were asked for.

    Raises:
        TaskError: As `start_phantom`, or nothing is known of what was asked for.
        StorageError: `var` cannot be written.
    """
    known = find_task("phantom", root)
    asked = _read(known.folder / REQUEST_FILE) if known is not None else None
    if asked is None:
        raise TaskError(
            f"What was asked for {root.name} is not known any more; remove it and make it anew."
        )
    return _start("phantom", root, [str(option) for option in asked["options"]])


def find_task(kind: Kind, root: Path) -> Task | None:
    """The latest task of its kind on a data root."""
    found = (read_task(folder) for folder in _folders())
    return next((t for t in found if t and t.kind == kind and t.target == root.absolute()), None)


def cancel_task(task: Task) -> None:
    """End a task and the processes that it started; studies that are finished stay.

    Raises:
        TaskError: The dashboard is read-only, or the process is not this user's.
    """
    _check_allowed()
    now = read_task(task.folder)
    if now is None or not now.is_alive:
        return
    try:
        os.killpg(now.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except OSError as error:
        raise TaskError(
            f"The task cannot be stopped from here ({error.strerror}); stop process {now.pid}."
        ) from error


def read_task(folder: Path) -> Task | None:
    """Read a task's folder; None where it holds none."""
    asked = _read(folder / REQUEST_FILE)
    if asked is None:
        return None
    told = _read(folder / PROGRESS_FILE) or {}
    state: State = told.get("state", "running")
    if state == "running" and not is_same_process(asked["pid"], asked["process_started"]):
        # Read again: it may have ended well between the two looks.
        told = _read(folder / PROGRESS_FILE) or {}
        state = told.get("state", "running")
        state = "stopped" if state == "running" else state
    message = str(told.get("message", ""))
    if state == "stopped" and not told:
        message = _last_line(folder / OUTPUT_FILE)
    return Task(
        folder=folder,
        kind=asked["kind"],
        target=Path(asked["target"]),
        state=state,
        done=int(told.get("done", 0)),
        total=int(told.get("total", 0)),
        first_done=int(told.get("first_done", 0)),
        started=float(told.get("started", asked["asked"])),
        updated=float(told.get("updated", asked["asked"])),
        message=message,
        pid=int(asked["pid"]),
    )


def _start(kind: Kind, root: Path, options: list[str]) -> Task:
    _check_allowed()
    target = root.absolute()
    known = find_task(kind, target)
    if known is not None and known.is_alive:
        return known
    _sweep()
    check_space(target, 0)
    folder = _tasks_root() / f"{time.time_ns()}-{kind}"
    progress = folder / PROGRESS_FILE
    command = [
        sys.executable, "-m", "core", kind, str(target), *options, "--progress-file", str(progress),
    ]  # fmt: skip
    try:
        folder.mkdir(parents=True)
        process = start_apart(command, folder / OUTPUT_FILE)
    except OSError as error:
        raise StorageError(
            f"The task cannot be started in {folder} ({error.strerror}); set CSPINE_VAR to a "
            "folder you can write to."
        ) from error
    write_json(
        folder / REQUEST_FILE,
        {
            "kind": kind, "target": str(target), "options": options, "pid": process.pid,
            "process_started": process_identity(process.pid), "asked": time.time(),
        },
    )  # fmt: skip
    task = read_task(folder)
    if task is None:
        raise TaskError(f"{folder} does not read back; check the disk.")
    return task


def _check_allowed() -> None:
    if reason := refusal("to work from it"):
        raise TaskError(reason)


def _tasks_root() -> Path:
    return Settings().cspine_var.absolute() / "tasks"


def _folders() -> list[Path]:
    """The tasks' folders, the latest first."""
    try:
        return sorted(_tasks_root().iterdir(), reverse=True)
    except OSError:
        return []


def _sweep() -> None:
    """Remove the folders of all but the latest tasks that have ended."""
    for folder in _folders()[KEPT:]:
        task = read_task(folder)
        if task is None or not task.is_alive:
            shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _last_line(path: Path) -> str:
    """What a process said last, where it ended before it could tell of itself."""
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("Error: ")[:300] if lines else ""
