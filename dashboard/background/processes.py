"""Processes that outlive the dashboard: start, end, and removal of their folders."""

from __future__ import annotations

import contextlib
import shutil
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
from core.system.process_identity import ProcessRecord
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
                # which can end its own group with the workers that it starts.
                return subprocess.Popen(
                    [sys.executable, "-m", "core", *arguments], cwd=PROJECT_ROOT,
                    stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
                ).pid  # fmt: skip
        except OSError as error:
            raise self.error_type(
                f"The process cannot be started ({error.strerror}); see {folder}."
            ) from error

    def end(self, process: ProcessRecord, name: str, *, at_once: bool) -> None:
        """End a process of this machine and those that it started.

        Args:
            process: The process. No other one is ever ended, whatever has its id now.
            name: Name of the work, at the beginning of a sentence.
            at_once: Whether to kill a hung process and wait until it is gone, instead of asking it.

        Raises:
            CSpineError: Of type `error_type`: the process belongs to another user or machine, or
                does not end.
        """
        where = f"process {process.pid} on {process.host or 'the machine that runs it'}"
        found = process.find()
        if found is None:
            if process.is_here and not process.is_alive:
                return
            raise self.error_type(f"{name} cannot be ended from this machine; end {where}.")
        try:
            ended = [found, *found.children(recursive=True)]
            for one in ended:
                with contextlib.suppress(psutil.NoSuchProcess):
                    (one.kill if at_once else one.terminate)()
        except psutil.NoSuchProcess:
            return
        except psutil.Error as error:
            raise self.error_type(f"{name} cannot be ended from here; end {where}.") from error
        if at_once and psutil.wait_procs(ended, timeout=KILL_SECONDS)[1]:
            raise self.error_type(
                f"{name} hangs in the system and does not end; resume it once {where} is gone."
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
    make_root(root)
    folder = root / name
    try:
        for number in count(2):
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                break
            folder = root / f"{name}-{number}"
    except OSError as error:
        raise _not_written(root, error) from error
    return folder


def make_root(root: Path) -> None:
    """Make a folder of this installation.

    Raises:
        StorageError: It cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(root, error) from error


def _not_written(root: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{root} cannot be written ({error.strerror}); set CSPINE_VAR to a folder you can write to."
    )


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
