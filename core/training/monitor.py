"""Monitoring of a run after each step: metrics, heartbeat, early stopping, checkpoints."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

from core.training.engine import StepReport
from core.training.runs import RunFolder
from core.training.state import TrainingState
from core.training.tensorboard_log import CurvesLog
from core.types import Progress

LOG_EVERY_STEPS: Final = 10
_log = logging.getLogger("core.training")


@dataclass(slots=True, eq=False)
class Monitor:
    """Callback of the training loop whenever losses were read; returns whether the run ends there.

    Attributes:
        run: Run folder for metrics and heartbeat; None in a process that does not write.
        state: The run's state, which is updated.
        total_steps: Number of steps of the run.
        progress: Called with (steps done, total steps).
        curves: TensorBoard's events; None for none.
        checkpoint: Saves the state.
        checkpoint_every_s: Longest time between two checkpoints.
        agree: Gives rank 0's answer to all processes.
        stops: Whether the user has asked the run to stop; it is then saved and interrupted.
        saved: When the state was last saved, by the monotonic clock.
        last: The last step of the epoch.
    """

    run: RunFolder | None
    state: TrainingState
    total_steps: int
    progress: Progress | None
    curves: CurvesLog | None
    checkpoint: Callable[[], None]
    checkpoint_every_s: float
    agree: Callable[[bool], bool]
    stops: Callable[[], bool]
    saved: float = field(default_factory=time.monotonic)
    last: StepReport | None = None

    def __call__(self, report: StepReport) -> bool:
        """Record the steps since the last report.

        Returns:
            Whether early stopping ends the run here.

        Raises:
            KeyboardInterrupt: The user has asked the run to stop; its state is saved.
        """
        state = self.state
        self.last = report
        state.recent_losses += report.losses
        stops = self._should_stop(report)
        at = report.step
        if at in (1, self.total_steps) or at % LOG_EVERY_STEPS == 0 or stops:
            self._write_line(report)
        if self.run is not None:
            self.run.beat(step=report.step, epoch=state.epoch)
        if self.progress is not None:
            self.progress(report.step, self.total_steps)
        state.stopped_early = stops
        if self.agree(time.monotonic() - self.saved >= self.checkpoint_every_s):
            self.checkpoint()
            self.saved = time.monotonic()
        if self.stops():
            self.checkpoint()
            raise KeyboardInterrupt
        return stops

    def _should_stop(self, report: StepReport) -> bool:
        stopping = self.state.stopping
        if stopping is None or stopping.watches != "training":
            return False
        return any([stopping.should_stop(loss) for loss in report.losses])

    def end_epoch(self) -> None:
        """Count the epoch as finished, and record the speed since the run started or resumed."""
        state, last = self.state, self.last
        state.epoch, state.batch, self.last = state.epoch + 1, 0, None
        if last is None or self.run is None:
            return
        _log.info(
            "Epoch %d: %.1f images per second, %.1f %% of the time waiting for data.",
            state.epoch, last.images_per_second, 100 * last.loader_wait_share,
        )  # fmt: skip
        self.run.append_metrics(
            "epoch", step=state.step, epoch=state.epoch,
            images_per_second=last.images_per_second, loader_wait_share=last.loader_wait_share,
        )  # fmt: skip

    def _write_line(self, report: StepReport) -> None:
        """Write a line of metrics, whose loss is the mean since the previous line."""
        recent = self.state.recent_losses
        values = {key: value for key, value in asdict(report).items() if key != "losses"} | {
            "loss": sum(recent) / len(recent),
            "epoch": self.state.epoch + 1,
            "total_steps": self.total_steps,
        }
        recent.clear()
        if self.run is not None:
            self.run.append_metrics("step", **values)
        if self.curves is not None:
            self.curves.write(
                report.step,
                training__loss=values["loss"],
                training__learning_rate=report.learning_rate,
                training__images_per_second=report.images_per_second,
                training__loader_wait_share=report.loader_wait_share,
            )
