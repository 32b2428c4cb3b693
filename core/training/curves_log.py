"""TensorBoard events beside a run's own metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = "tensorboard"


class CurvesLog:
    """Writes scalars for TensorBoard into a run's folder.

    Args:
        run_folder: The run.
        first_step: Events at or beyond it, left by a run that was cut off, are not shown.
    """

    def __init__(self, run_folder: Path, first_step: int) -> None:
        # Here because it takes about a second, which runs without it need not wait for.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run_folder / FOLDER), purge_step=first_step, flush_secs=10)

    def write(self, step: int, **scalars: float | None) -> None:
        """Add scalars at a step; those that are None are left out."""
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name.replace("__", "/"), value, step)

    def close(self) -> None:
        """Bring everything to the disk."""
        self._writer.close()
