"""What the commands share: the application, options that recur, and the progress bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from tqdm import tqdm

from core.errors import ConfigError
from core.types import HuWindow
from core.workers import Workers

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Cervical-spine fractures on CT: data, training, prediction, evaluation.",
)
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")]
Dask = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Scheduler of a dask cluster, tcp://host:port."),
]


def chosen_workers(jobs: int | None, dask: str | None) -> Workers:
    """Local processes or a cluster.

    Raises:
        ConfigError: Both are chosen, or the address is none.
    """
    if jobs is not None and dask is not None:
        raise ConfigError(
            "--jobs counts processes on this machine and --dask uses a cluster's; give one of them."
        )
    return Workers(jobs=jobs, dask=dask)


def parsed_window(text: str) -> HuWindow:
    """Read "400/1800", centre and width in HU.

    Raises:
        ConfigError: It is not two numbers with a width above 0.
    """
    center, _, width = text.partition("/")
    try:
        return HuWindow(float(center), float(width))
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no window; write its centre and its width in HU, like 400/1800."
        ) from error


class progress_bar:  # noqa: N801 - reads as a noun in `with progress_bar(...)`
    """A progress bar with an ETA that takes (done, total); absent until something starts."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._shown: tqdm[Any] | None = None

    def __enter__(self) -> Callable[[int, int], None]:
        return self._show

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._shown.close()

    def _show(self, done: int, total: int) -> None:
        shown = self._shown
        if shown is None or done < shown.n or total != shown.total:
            if shown is not None:
                shown.close()
            shown = tqdm(
                desc=self._title, unit=self._unit, initial=done, total=total, dynamic_ncols=True
            )
            self._shown = shown
        shown.update(done - shown.n)
