"""Processes that outlive the dashboard: start, stop, kill, and removal of their folders."""

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
"""Output of a process; the only trace of one that fails before it can report."""
DELETED: Final = ".deleted-"
"""Prefix of the name of a folder that is being removed."""
KILL_SECONDS: Final = 10.0
"""Time for a killed process to end, in seconds."""


@dataclass(frozen=True, slots=True)
class ProcessSupervisor:
    """Starts and ends the processes of one kind of work.

    Attributes:
        error_type: Type of the errors that are raised.
        purpose: Purpose of a change, for `refusal`.
    """

    error_type: type[CSpineError]
    purpose: str

    def check_allowed(self) -> None:
        """Check that changes are allowed.

        Raises:
            CSpineError: Of type `error_type`: the dashboard or the account is read-only.
        """
        if reason := refusal(self.purpose):
            raise self.error_type(reason)

    def start(self, folder: Path, *arguments: str) -> int:
        """Start `python -m core` with arguments, independent of the server.

        Args:
            folder: Folder of the output file; output is appended.
            arguments: Arguments of the command.

        Returns:
            The process id.

        Raises:
            CSpineError: Of type `error_type`: the process cannot be started.
        """
        try:
            with (folder / OUTPUT_FILE).open("ab") as stream:
                # A new session: a signal to the dashboard's terminal does not reach the process,
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
            pid: Process id.
            name: Name of the work, at the beginning of a sentence.
            group: Whether the whole process group is asked.

        Raises:
            CSpineError: Of type `error_type`: the process belongs to another user or machine.
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
            pid: Process id.
            name: Name of the work, at the beginning of a sentence.

        Raises:
            CSpineError: Of type `error_type`: the process belongs to another user or does not end.
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
    """Run `python -m core` to its end; return the last line on stderr if it failed, else None.

    Args:
        arguments: Arguments of the command.
        seconds: Time limit.

    Raises:
        TimeoutError: The command took longer and was ended.
        OSError: The command cannot be started.
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
    """Make a new folder, with a number after its name if that is taken.

    Raises:
        StorageError: The folder cannot be written.
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
    """Remove a folder with its contents.

    The folder is renamed first, so that an interrupted removal leaves nothing that looks complete.

    Args:
        folder: Folder to remove.
        name: Name of its contents, at the beginning of a sentence.

    Raises:
        StorageError: The folder cannot be removed.
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
    """Last line of the output of a process; "" without output."""
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("Error: ")[:300] if lines else ""
