"""Processes that live on without the dashboard: started, stopped, killed, their folders removed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import psutil

from core.config import PROJECT_ROOT
from core.errors import CSpineError, StorageError
from dashboard.session.access import refusal

OUTPUT_FILE: Final = "output.log"
"""What a process prints; the only trace of one that fails before it can report."""
DELETED: Final = ".deleted-"
"""Begins the name of a folder that is being removed."""
KILL_SECONDS: Final = 10.0
"""A killed process that is still there after this waits for a disk."""


@dataclass(frozen=True, slots=True)
class ProcessSupervisor:
    """Starts and ends the processes of one kind of work; the work itself is a folder.

    Attributes:
        error_type: Raised where something cannot be done.
        purpose: Ends the sentence by which a read-only dashboard refuses a change.
    """

    error_type: type[CSpineError]
    purpose: str

    def check_allowed(self) -> None:
        """Make sure that the dashboard may change anything.

        Raises:
            CSpineError: Of type `error_type`: it is read-only, or the account may only look.
        """
        if reason := refusal(self.purpose):
            raise self.error_type(reason)

    def start(self, folder: Path, *arguments: str) -> int:
        """Start `python -m core` with arguments, so that a stopped server leaves it alone.

        Args:
            folder: Takes what it prints, at the end of what is there.
            arguments: Of the command.

        Returns:
            Its process id.

        Raises:
            CSpineError: Of type `error_type`: it cannot be started.
        """
        try:
            with (folder / OUTPUT_FILE).open("ab") as stream:
                # A session of its own: a signal to the dashboard's terminal does not reach it,
                # and one to its group reaches the workers that it starts.
                return subprocess.Popen(
                    [sys.executable, "-m", "core", *arguments], cwd=PROJECT_ROOT,
                    stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
                ).pid  # fmt: skip
        except OSError as error:
            raise self.error_type(
                f"The process cannot be started ({error.strerror}); see {folder}."
            ) from error

    def stop(self, pid: int, name: str, *, group: bool) -> None:
        """Ask a process to end.

        Args:
            pid: The process.
            name: Of the work, to begin a sentence.
            group: Whether the processes that it started are asked too.

        Raises:
            CSpineError: Of type `error_type`: it is not this user's, or on another machine.
        """
        try:
            (os.killpg if group else os.kill)(pid, signal.SIGTERM)
        except OSError as error:
            raise self.error_type(
                f"{name} cannot be stopped from here ({error.strerror}); stop process {pid} on "
                "the machine that runs it."
            ) from error

    def kill(self, pid: int, name: str) -> None:
        """End a hung process and those that it started, and wait until they are gone.

        Args:
            pid: The process.
            name: Of the work, to begin a sentence.

        Raises:
            CSpineError: Of type `error_type`: it is not this user's, or hangs in the system.
        """
        try:
            process = psutil.Process(pid)
            ended = [process, *process.children(recursive=True)]
            for one in ended:
                one.kill()
        except psutil.NoSuchProcess:
            return
        except psutil.Error as error:
            raise self.error_type(
                f"{name} hangs and cannot be ended from here; kill process {pid} on the machine "
                "that runs it, then resume."
            ) from error
        if psutil.wait_procs(ended, timeout=KILL_SECONDS)[1]:
            raise self.error_type(
                f"{name} hangs in the system and does not end; resume it once process {pid} is "
                "gone."
            )


def run_core(*arguments: str, seconds: float) -> str | None:
    """Run `python -m core` to its end; its last line on stderr where it failed, else None.

    Args:
        arguments: Of the command.
        seconds: How long it may take.

    Raises:
        TimeoutError: It took longer and was ended.
        OSError: It cannot be started.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "core", *arguments], cwd=PROJECT_ROOT, text=True,
            capture_output=True, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    if not done.returncode:
        return None
    return (done.stderr.strip().splitlines() or ["no message"])[-1].removeprefix("Error: ")


def new_folder(root: Path, name: str) -> Path:
    """Make the folder of new work, with a number behind its name where that is taken.

    Raises:
        StorageError: It cannot be written.
    """
    folder = root / name
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in count(2):
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                break
            folder = root / f"{name}-{number}"
    except OSError as error:
        raise StorageError(
            f"{root} cannot be written ({error.strerror}); set CSPINE_VAR to a folder you can "
            "write to."
        ) from error
    return folder


def remove_folder(folder: Path, name: str) -> None:
    """Remove a folder with all that it holds.

    It is renamed first: a removal that is cut off half-way leaves nothing that looks whole.

    Args:
        folder: To be removed.
        name: Of what it holds, to begin a sentence.

    Raises:
        StorageError: It cannot be removed.
    """
    deleted = folder.with_name(f"{DELETED}{folder.name}-{time.time_ns()}")
    try:
        folder.rename(deleted)
        shutil.rmtree(deleted)
    except OSError as error:
        raise StorageError(
            f"{name} cannot be removed ({error.strerror}); check its permissions."
        ) from error


def last_line(path: Path) -> str:
    """The last line that a process printed, where it ended before it could report; else ""."""
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("Error: ")[:300] if lines else ""
