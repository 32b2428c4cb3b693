"""Early stopping of a run whose loss no longer falls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from core.config import RunConfig

_CHANGING: Final = ("best", "waited", "window_sum", "window_count")


@dataclass(slots=True)
class EarlyStopping:
    """Stop after several consecutive windows of batches without a sufficient fall of the loss.

    The loss is the mean training loss over a window of batches: in the method's single epoch each
    batch is new to the model when its loss is computed. In longer runs it may be the loss on the
    held-out fold, one window per epoch.

    Attributes:
        delta: Smallest fall below the best loss that counts.
        patience: Consecutive windows without such a fall that end the run.
        every: Losses per window.
        watches: Whether the losses are of training batches or of the held-out fold.
        best: Lowest loss so far.
        waited: Windows since the lowest loss.
        window_sum: Sum of the losses in the current window.
        window_count: Losses in the current window.
    """

    delta: float
    patience: int
    every: int
    watches: Literal["training", "validation"] = "training"
    best: float = math.inf
    waited: int = 0
    window_sum: float = 0.0
    window_count: int = 0

    @classmethod
    def of(cls, config: RunConfig) -> EarlyStopping | None:
        """Early stopping of a run; None if it is off."""
        if not config.early_stopping:
            return None
        watches = config.early_stopping_loss
        every = config.early_stopping_every if watches == "training" else 1
        delta, patience = config.early_stopping_delta, config.early_stopping_patience
        return cls(delta, patience, every, watches)

    def should_stop(self, loss: float) -> bool:
        """Add one loss and return whether the run ends after it."""
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
        """Return the state for a checkpoint."""
        return {name: getattr(self, name) for name in _CHANGING}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """Restore the state from a checkpoint."""
        for name in _CHANGING:
            setattr(self, name, type(getattr(self, name))(state[name]))
