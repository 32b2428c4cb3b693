"""Monitoring of a run after each step: metrics, heartbeat, early stopping, checkpoints."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from core.training.engine import StepReport
from core.training.runs import RunFolder
from core.training.state import TrainingState
from core.training.tensorboard_log import CurvesLog
from core.types import Progress

LOG_EVERY_STEPS: Final = 10
_log = logging.getLogger("core.training")


class Monitor:
    """Callback of the training loop after each step; returns whether the run ends there.

    Args:
        run: Run folder for metrics and heartbeat; None in a process that does not write.
        state: The run's state, which is updated.
        total_steps: Number of steps of the run.
        progress: Called with (steps done, total steps).
        curves: TensorBoard's events; None for none.
        checkpoint: Saves the state.
        checkpoint_every_s: Longest time between two checkpoints.
        agree: Gives rank 0's answer to all processes.
        stops: Whether the user has asked the run to stop; it is then saved and interrupted.
    """

    def __init__(
        self,
        run: RunFolder | None,
        state: TrainingState,
        total_steps: int,
        *,
        progress: Progress | None = None,
        curves: CurvesLog | None = None,
        checkpoint: Callable[[], None] = lambda: None,
        checkpoint_every_s: float = float("inf"),
        agree: Callable[[bool], bool] = bool,
        stops: Callable[[], bool] = lambda: False,
    ) -> None:
        self._run = run
        self._state = state
        self._total_steps = total_steps
        self._progress = progress
        self._curves = curves
        self._checkpoint = checkpoint
        self._checkpoint_every_s = checkpoint_every_s
        self._agree = agree
        self._stops = stops
        self._saved = time.monotonic()
        self._last: StepReport | None = None

    def __call__(self, report: StepReport) -> bool:
        """Record one step.

        Returns:
            Whether early stopping ends the run here.

        Raises:
            KeyboardInterrupt: The user has asked the run to stop; its state is saved.
        """
        state = self._state
        self._last = report
        state.recent_losses.append(report.loss)
        stops = state.stopping is not None and state.stopping.should_stop(report.loss)
        if report.step % LOG_EVERY_STEPS == 0 or report.step == self._total_steps or stops:
            self._write_line(report)
        if self._run is not None:
            self._run.beat(step=report.step, epoch=state.epoch)
        if self._progress is not None:
            self._progress(report.step, self._total_steps)
        state.stopped_early = stops
        if self._agree(time.monotonic() - self._saved >= self._checkpoint_every_s):
            self._checkpoint()
            self._saved = time.monotonic()
        if self._stops():
            self._checkpoint()
            raise KeyboardInterrupt
        return stops

    def end_epoch(self) -> None:
        """Count the epoch as finished, and record the speed since the run started or resumed."""
        state, last = self._state, self._last
        state.epoch, state.batch, self._last = state.epoch + 1, 0, None
        if last is None or self._run is None:
            return
        _log.info(
            "Epoch %d: %.1f images per second, %.1f %% of the time waiting for data.",
            state.epoch, last.images_per_second, 100 * last.loader_wait_share,
        )  # fmt: skip
        self._run.append_metrics(
            "epoch", step=state.step, epoch=state.epoch,
            images_per_second=last.images_per_second, loader_wait_share=last.loader_wait_share,
        )  # fmt: skip

    def _write_line(self, report: StepReport) -> None:
        """Write a line of metrics, whose loss is the mean since the previous line."""
        recent = self._state.recent_losses
        values = asdict(report) | {
            "loss": sum(recent) / len(recent),
            "epoch": self._state.epoch + 1,
            "total_steps": self._total_steps,
        }
        recent.clear()
        if self._run is not None:
            self._run.append_metrics("step", **values)
        if self._curves is not None:
            self._curves.write(
                report.step,
                training__loss=values["loss"],
                training__learning_rate=report.learning_rate,
                training__images_per_second=report.images_per_second,
                training__loader_wait_share=report.loader_wait_share,
            )
