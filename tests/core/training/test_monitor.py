"""Which steps of a run are written down."""

from __future__ import annotations

from types import SimpleNamespace

from core.training.engine import StepReport
from core.training.monitor import Monitor


class Run:
    """Keeps the steps that are written."""

    def __init__(self):
        self.lines = []

    def append_metrics(self, event, **values):
        self.lines.append((values["step"], values["loss"]))

    def beat(self, **_):
        pass


def test_the_curves_begin_with_the_first_step_and_end_with_the_last():
    run = Run()
    state = SimpleNamespace(recent_losses=[], stopping=None, epoch=0, stopped_early=False)
    monitor = Monitor(
        run, state, 12, progress=None, curves=None, checkpoint=lambda: None,
        checkpoint_every_s=1e9, agree=bool, stops=lambda: False,
    )  # fmt: skip
    for step in range(1, 13):
        monitor(StepReport(step, step, (float(step),), 1e-3, 1.0, 0.0))
    # Each line is the mean since the one before it.
    assert run.lines == [(1, 1.0), (10, 6.0), (12, 11.5)]
