"""Tasks in separate processes: indexing, making synthetic studies, and scoring runs.

A task is a folder below `var/tasks` with its request and its progress. It outlives a browser tab
and a restart of the dashboard; the same task is not started twice at the same time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from core.errors import TaskError
from core.system.atomic_files import write_json
from core.system.disk_space import check_space
from core.system.followed_work import FollowedWork
from core.system.movement import MOVEMENT
from core.system.process_identity import ProcessRecord
from core.system.stop_request import ask_to_stop
from core.system.work_lock import WorkLock
from dashboard.background.pace import Pace
from dashboard.background.processes import (
    OUTPUT_FILE,
    ProcessSupervisor,
    last_line,
    make_root,
    new_folder,
)
from dashboard.session.access import user_name
from dashboard.session.settings import settings

Kind = Literal["index", "phantom", "score"]
State = Literal["running", "finished", "failed", "stopped"]

REQUEST_FILE: Final = "task.json"
PROGRESS_FILE: Final = "progress.json"
PROCESS_FILE: Final = "process.json"
KEPT: Final = 20
"""Number of finished tasks whose folders are kept."""
_BEGIN_SECONDS: Final = 120.0
"""Time for the process of another machine, or of a dashboard that has died, to begin."""
_WAIT_SECONDS: Final = 30.0
SUPERVISOR: Final = ProcessSupervisor(TaskError, "to work from it")


@dataclass(frozen=True, slots=True)
class Task:
    """The current state of one task.

    Attributes:
        folder: Folder of the task.
        kind: Kind of work.
        target: Data root, or folder of a run, that it works on.
        state: "stopped" if the process ended before the work was finished.
        done: Studies finished.
        total: Studies in all; 0 until that is known.
        first_done: Studies that were finished when the task began.
        started: Start time in seconds since 1970.
        updated: Time of the last report in seconds since 1970.
        message: Reason for a failure; "" otherwise.
        pid: Process id, the leader of its own process group; 0 until it is known.
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
        """Whether the process is running."""
        return self.state == "running"

    @property
    def finished(self) -> bool:
        """Whether the task has ended, with or without success."""
        return not self.is_alive

    @property
    def place(self) -> int:
        """Tasks that come first: none, as each has a separate process."""
        return 0

    @property
    def seconds_left(self) -> float | None:
        """Estimated remaining time from the pace so far; None before the first step."""
        return self._pace.seconds_left(self.total, time.time())

    @property
    def is_stalled(self) -> bool:
        """Whether the current study takes far longer than the ones before it."""
        return self.is_alive and self._pace.is_stalled(time.time())

    @property
    def _pace(self) -> Pace:
        pace = Pace(self.started, self.first_done)
        pace.report(self.done, self.updated)
        return pace


def start_index(root: Path) -> Task:
    """Index a data root in the background, or join the running task.

    Raises:
        TaskError: The dashboard is read-only, or the process cannot be started.
        StorageError: `var` cannot be written.
    """
    return _start("index", root, [])


def start_score(run: Path) -> Task:
    """Predict the held-out patients of a run in the background, or join the running task.

    Raises:
        TaskError: The dashboard is read-only, or the process cannot be started.
        StorageError: `var` cannot be written.
    """
    return _start("score", run, [])


def start_phantom(root: Path, *, studies: int, seed: int, matrix: int, rsna_like: bool) -> Task:
    """Make synthetic studies below `root` in the background, or continue an interrupted task.

    Raises:
        TaskError: The dashboard is read-only, or the process cannot be started.
        StorageError: `var` cannot be written.
    """
    options = ["--studies", str(studies), "--seed", str(seed), "--matrix", str(matrix)]
    return _start("phantom", root, [*options, *(["--rsna-like"] if rsna_like else [])])


def resume_phantom(root: Path) -> Task:
    """Continue making studies after a cancellation or failure, with the same options.

    Raises:
        TaskError: As for `start_phantom`, or the request is not known any more.
        StorageError: `var` cannot be written.
    """
    SUPERVISOR.check_allowed()
    known = find_task("phantom", root)
    asked = _read(known.folder / REQUEST_FILE) if known is not None else None
    if asked is None:
        raise TaskError(
            f"The options of cohort {root.name} are not known any more; delete it and make it "
            "again."
        )
    return _start("phantom", root, [str(option) for option in asked["options"]])


def find_task(kind: Kind, root: Path) -> Task | None:
    """The latest task of a kind on a data root."""
    found = (read_task(folder) for folder in _folders())
    return next((t for t in found if t and t.kind == kind and t.target == root.absolute()), None)


def cancel_task(task: Task) -> None:
    """End a task and the processes that it started; finished studies are kept.

    Raises:
        TaskError: The dashboard is read-only, or the process is of an older version and belongs to
            another user or machine.
        StorageError: The request cannot be written.
    """
    SUPERVISOR.check_allowed()
    now = read_task(task.folder)
    if now is None or not now.is_alive:
        return
    work = _work(task.folder)
    ask_to_stop(work.stop_file)
    asked = _read(task.folder / REQUEST_FILE) or {}
    if "pid" in asked and not work.lock.was_used:  # Of a version that looks for no request.
        SUPERVISOR.end(_process(task.folder, asked), "The task", at_once=False)


def read_task(folder: Path) -> Task | None:
    """Read the folder of a task; None if it does not contain one."""
    asked = _read(folder / REQUEST_FILE)
    if asked is None:
        return None
    reported = _read(folder / PROGRESS_FILE) or {}
    state: State = reported.get("state", "running")
    process = _process(folder, asked)
    if state == "running" and not _is_alive(folder, process, reported):
        # Read again: the task may have finished between the two checks.
        reported = _read(folder / PROGRESS_FILE) or {}
        state = reported.get("state", "running")
        state = "stopped" if state == "running" else state
    message = str(reported.get("message", ""))
    if state == "stopped" and not reported:
        message = last_line(folder / OUTPUT_FILE)
    return Task(
        folder=folder,
        kind=asked["kind"],
        target=Path(asked["target"]),
        state=state,
        done=int(reported.get("done", 0)),
        total=int(reported.get("total", 0)),
        first_done=int(reported.get("first_done", 0)),
        started=float(reported.get("started", asked["asked"])),
        updated=float(reported.get("updated", asked["asked"])),
        message=message,
        pid=process.pid,
    )


def _start(kind: Kind, root: Path, options: list[str]) -> Task:
    SUPERVISOR.check_allowed()
    target = root.absolute()
    make_root(_tasks_root())
    # Two dashboards, or two threads of one, may be asked at once.
    with WorkLock(_tasks_root() / ".lock").held(wait_s=_WAIT_SECONDS, judge=True):
        known = find_task(kind, target)
        if known is not None and known.is_alive:
            return known
        user = _user()
        _check_number(user)
        _sweep()
        check_space(target, 0, settings().keep_free_bytes)
        folder = new_folder(_tasks_root(), f"{time.time_ns()}-{kind}")
        # Recorded before there is a process, so that no process is without a record.
        request = {
            "kind": kind,
            "target": str(target),
            "options": options,
            "asked": time.time(),
            "user": user,
        }
        write_json(folder / REQUEST_FILE, request)
        progress = str(_work(folder).progress)
        try:
            pid = SUPERVISOR.start(folder, kind, str(target), *options, "--progress-file", progress)
        except TaskError as error:
            write_json(folder / PROGRESS_FILE, {"state": "failed", "message": str(error)})
            raise
        write_json(folder / PROCESS_FILE, asdict(ProcessRecord.of(pid)))
    task = read_task(folder)
    if task is None:
        raise TaskError(f"{folder} cannot be read back; check the disk.")
    return task


def _check_number(user: str) -> None:
    """Check that one more task may run; called under the lock of all tasks.

    Raises:
        TaskError: Too many run already.
    """
    limits, tasks = settings(), map(read_task, _folders())
    running = [task.folder for task in tasks if task is not None and task.is_alive]
    own = [one for one in running if (_read(one / REQUEST_FILE) or {}).get("user") == user]
    for some, most, name in (
        (running, limits.max_tasks, "MAX_TASKS"),
        (own, limits.max_tasks_per_user, "MAX_TASKS_PER_USER"),
    ):
        if len(some) >= most:
            whose = "You have" if some is own else "This installation has"
            raise TaskError(
                f"{whose} {len(some)} tasks on data sets running already ({name}); wait until one "
                "has ended, or cancel one."
            )


def _user() -> str:
    """Digest of who asks: names belong into no file here."""
    return hashlib.sha256(user_name().encode()).hexdigest()[:16]


def _work(folder: Path) -> FollowedWork:
    return FollowedWork(folder / PROGRESS_FILE)


def _process(folder: Path, asked: dict[str, Any]) -> ProcessRecord:
    """The process of a task; in folders of older versions the request names it."""
    noted = _read(folder / PROCESS_FILE)
    if noted is not None:
        return ProcessRecord(**noted)
    return ProcessRecord("", int(asked.get("pid", 0)), asked.get("process_started"))


def _is_alive(folder: Path, process: ProcessRecord, reported: dict[str, Any]) -> bool:
    """Whether the process of a task runs, or has yet to begin."""
    lock = _work(folder).lock
    if lock.holder() is not None or process.is_here:
        return lock.holder() is not None or process.is_alive
    if lock.was_used:
        return False
    # Not known yet, or on another machine: it has some time to begin.
    return MOVEMENT.seconds_still(str(folder), reported) < _BEGIN_SECONDS


def _tasks_root() -> Path:
    return settings().cspine_var.absolute() / "tasks"


def _folders() -> list[Path]:
    """Folders of the tasks, the latest first."""
    try:
        visible = (path for path in _tasks_root().iterdir() if not path.name.startswith("."))
        return sorted(visible, reverse=True)
    except OSError:
        return []


def _sweep() -> None:
    """Remove the folders of ended tasks, except the latest."""
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
