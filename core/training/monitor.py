"""What follows a run step by step: metrics lines, heartbeat, progress and early stopping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from core.training.engine import StepReport
from core.training.runs import RunFolder
from core.training.state import TrainingState

Progress = Callable[[int, int], None]

LOG_EVERY_STEPS: Final = 10


class Monitor:
    """Told of each step by the engine; answers whether the run ends there."""

    def __init__(
        self, run: RunFolder, state: TrainingState, total_steps: int, progress: Progress | None
    ) -> None:
        self._run = run
        self._state = state
        self._total_steps = total_steps
        self._progress = progress
        self._recent: list[float] = []

    def __call__(self, report: StepReport) -> bool:
        """Record one step.

        Returns:
            Whether early stopping ends the run here.
        """
        self._recent.append(report.loss)
        stops = self._state.stopping is not None and self._state.stopping.should_stop(report.loss)
        if report.step % LOG_EVERY_STEPS == 0 or report.step == self._total_steps or stops:
            self._write_line(report)
        self._run.beat(step=report.step, epoch=self._state.epoch)
        if self._progress is not None:
            self._progress(report.step, self._total_steps)
        self._state.stopped_early = stops
        return stops

    def _write_line(self, report: StepReport) -> None:
        """The line's loss is the mean since the line before."""
        values = asdict(report) | {
            "loss": sum(self._recent) / len(self._recent),
            "epoch": self._state.epoch + 1,
            "total_steps": self._total_steps,
        }
        self._recent.clear()
        self._run.append_metrics("step", **values)
