"""TensorBoard events of a run, in addition to its own metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.training.runs import FollowerRun, RunFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER: Final = "tensorboard"
_log = logging.getLogger("core.training")


@contextmanager
def open_curves(run: RunFolder, step: int) -> Iterator[CurvesLog | None]:
    """Open the events of a run after `step` steps; None in a process that does not write."""
    if isinstance(run, FollowerRun):
        yield None
        return
    with closing(CurvesLog(run.folder, first_step=step + 1)) as curves:
        yield curves


class CurvesLog:
    """Writes scalars for TensorBoard into a run's folder.

    The run's own `metrics.jsonl` holds the same, so that a full disk ends the events and not the
    run.

    Args:
        run_folder: Folder of the run.
        first_step: Events from this step on, left by an interrupted run, are not shown.
    """

    def __init__(self, run_folder: Path, first_step: int) -> None:
        # Imported here because it takes about a second.
        from torch.utils.tensorboard import SummaryWriter

        self._writer: SummaryWriter | None = None
        with self._or_give_up():
            self._writer = SummaryWriter(
                str(run_folder / FOLDER), purge_step=first_step, flush_secs=10
            )

    def write(self, step: int, **scalars: float | None) -> None:
        """Add scalars at a step; those that are None are left out."""
        with self._or_give_up():
            for name, value in scalars.items():
                if value is not None and self._writer is not None:
                    self._writer.add_scalar(name.replace("__", "/"), value, step)

    def close(self) -> None:
        """Write all events to the disk."""
        with self._or_give_up():
            if self._writer is not None:
                self._writer.close()

    @contextmanager
    def _or_give_up(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            _log.warning("TensorBoard events end here: %s.", error.strerror)
