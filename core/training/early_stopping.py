"""When a run has stopped learning."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class EarlyStopping:
    """Stop after several windows of batches in a row without a sufficient fall of their loss.

    The loss watched is the mean training loss over a window of batches: in the method's single
    epoch each batch is new to the model when its loss is taken.

    Attributes:
        delta: The loss must fall below the best by more than this to count.
        patience: Windows in a row without such a fall that end the run.
        every: Batches in a window.
        best: Loss to beat.
        waited: Windows since it was set.
        window_sum: Sum of the losses in the window being filled.
        window_count: Number of them.
    """

    delta: float
    patience: int
    every: int
    best: float = math.inf
    waited: int = 0
    window_sum: float = 0.0
    window_count: int = 0

    def should_stop(self, loss: float) -> bool:
        """Take one batch's loss into account and tell whether the run ends after it."""
        self.window_sum += loss
        self.window_count += 1
        if self.window_count < self.every:
            return False
        mean = self.window_sum / self.window_count
        self.window_sum, self.window_count = 0.0, 0
        if mean < self.best - self.delta:
            self.best, self.waited = mean, 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def state_dict(self) -> dict[str, float | int]:
        """Give what a checkpoint keeps."""
        return {
            "best": self.best,
            "waited": self.waited,
            "window_sum": self.window_sum,
            "window_count": self.window_count,
        }

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """Take a checkpoint's state over."""
        self.best, self.window_sum = float(state["best"]), float(state["window_sum"])
        self.waited, self.window_count = int(state["waited"]), int(state["window_count"])
