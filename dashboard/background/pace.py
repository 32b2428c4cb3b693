"""Time left of counted work, from a smoothed time per step, and whether it is stuck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WEIGHT: Final = 0.25
"""Weight of the latest step in the smoothed time per step."""
STALL_SECONDS: Final = 60.0
STALL_STEPS: Final = 10.0
"""Work is stuck after this long without a step, and after this many times its usual step."""


@dataclass(slots=True)
class Pace:
    """Pace of counted work; times are in seconds of one clock.

    Attributes:
        reported: Time of the last step, or of the begin; None before the begin.
        done: Steps finished then.
        step_s: Smoothed time per step; None before the first.
    """

    reported: float | None = None
    done: int = 0
    step_s: float | None = None

    def report(self, done: int, now: float) -> None:
        """Record progress; a smaller `done` than before begins another count."""
        made = done - self.done
        if self.reported is not None and made == 0:
            return
        if self.reported is None or made < 0:
            self.step_s = None
        else:
            latest = (now - self.reported) / made
            before = latest if self.step_s is None else self.step_s
            self.step_s = WEIGHT * latest + (1 - WEIGHT) * before
        self.reported, self.done = now, done

    def seconds_left(self, total: int, now: float) -> float | None:
        """Time left; it counts down between two steps and never up. None before the first step."""
        if self.step_s is None or self.reported is None:
            return None
        steps = max(total - self.done, 0)
        waited = now - self.reported
        return max(self.step_s * steps - waited, self.step_s * max(steps - 1, 0))

    def is_stalled(self, now: float) -> bool:
        """Whether the current step takes far longer than the ones before it."""
        if self.step_s is None or self.reported is None:
            return False
        return now - self.reported > max(STALL_SECONDS, STALL_STEPS * self.step_s)
