"""Shared by the commands: the application, common options, and the progress bar."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from tqdm import tqdm

from core.errors import ConfigError, CSpineError, StorageError
from core.system import atomic_files
from core.system.followed_work import FollowedWork
from core.system.parallel import Workers
from core.types import HuWindow

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Cervical-spine fractures on CT: data, training, prediction, evaluation.",
)
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")]
Dask = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Scheduler of a dask cluster, tcp://host:port."),
]

Bundles = Annotated[
    list[Path] | None,
    typer.Option(
        help="One vertebra, one fracture, one localisation bundle; the shipped ones by default."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")]
ProgressFile = Annotated[
    Path | None,
    typer.Option(help="JSON file that is updated with the progress of the work."),
]
_WRITE_EVERY_S: Final = 0.5


def chosen_workers(jobs: int | None, dask: str | None) -> Workers:
    """Choose local processes or a cluster.

    Raises:
        ConfigError: Both are chosen, or the address is invalid.
    """
    if jobs is not None and dask is not None:
        raise ConfigError(
            "--jobs counts processes on this machine and --dask uses a cluster's; give one of them."
        )
    return Workers(jobs=jobs, dask=dask)


def parsed_window(text: str) -> HuWindow:
    """Read "400/1800", centre and width in HU.

    Raises:
        ConfigError: The text is not two numbers with a width above 0.
    """
    center, _, width = text.partition("/")
    try:
        return HuWindow(float(center), float(width))
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is not a window; write its centre and its width in HU, like 400/1800."
        ) from error


class progress_bar:  # noqa: N801 - reads as a noun in `with progress_bar(...)`
    """A progress bar with an ETA that takes (done, total); absent until something starts.

    Args:
        title: Name of the work.
        unit: Unit of the count.
        file: Updated for other processes, which may stop the work (see `FollowedWork`): {"state":
            "running" | "finished" | "failed" | "stopped", "done", "total", "first_done" (done at
            the start), "started" and "updated" in seconds since 1970, "message"}.
    """

    def __init__(self, title: str, unit: str, file: Path | None = None) -> None:
        self._title, self._unit, self._file = title, unit, file
        self._shown: tqdm[Any] | None = None
        self._written: dict[str, Any] = {}
        self._followed = contextlib.ExitStack()

    def __enter__(self) -> Callable[[int, int], None]:
        if self._file is not None:
            self._followed.enter_context(FollowedWork(self._file).carried_out())
        self._write("running", done=0, total=0, first_done=0, started=time.time())
        return self._show

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._followed:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if self._shown is not None:
            self._shown.close()
        if error is None:
            self._write("finished")
        elif isinstance(error, KeyboardInterrupt):
            self._write("stopped")
        else:
            # Only a typed error's sentence is shown; others may contain patient text.
            message = str(error) if isinstance(error, CSpineError) else type(error).__name__
            with contextlib.suppress(StorageError):
                self._write("failed", message=message)

    def _show(self, done: int, total: int) -> None:
        shown = self._shown
        if shown is None or done < shown.n or total != shown.total:
            if shown is not None:
                shown.close()
            shown = tqdm(
                desc=self._title, unit=self._unit, initial=done, total=total, dynamic_ncols=True
            )
            self._shown = shown
            self._write("running", done=done, total=total, first_done=done)
        shown.update(done - shown.n)
        if done == total or time.time() - self._written.get("updated", 0.0) >= _WRITE_EVERY_S:
            self._write("running", done=done, total=total)

    def _write(self, state: str, **values: Any) -> None:  # noqa: ANN401 - JSON values
        if self._file is not None:
            self._written = (
                {"message": ""} | self._written | {"state": state, "updated": time.time()} | values
            )
            atomic_files.write_json(self._file, self._written)
