"""A training script for `torchrun`, started by the tests of several processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.models import slice_model
from core.training import monitor
from core.training.trainer import train
from tests.stores import made_store

SLICES = {
    "task": "fracture", "type": 3, "backbone": "alexnet", "size": 64, "epochs": 2, "batch_size": 8,
    "folds": 3, "max_lr": 1e-4, "augment": True,
}  # fmt: skip
BOXES = {
    "task": "localization", "size": 64, "field_mm": 120, "channels": "neighbours", "epochs": 2,
    "batch_size": 4, "folds": 2, "negatives": 6, "augment": True, "accumulate": 2,
    "ema_decay": 0.9, "optimizer": "adamw", "weight_decay": 1e-3,
}  # fmt: skip


def main(folder: Path, data_root: Path, cache_dir: Path, resume: bool = False) -> None:
    """Train a network without batch norm and dropout: batch splits do not change its result."""
    slice_model.DROPOUT = 0.0
    monitor.LOG_EVERY_STEPS = 1
    config = RunConfig(**SLICES, data_root=data_root, device="cpu", checkpoint_every_s=0)
    train(config, folder, resume=resume, store=made_store(cache_dir))


def stopped(
    folder: Path, data_root: Path, cache_dir: Path, options: dict[str, Any], step: int, resume: bool
) -> None:
    """Train with all that is random, and stop after a step unless it is 0."""
    config = RunConfig(**options, data_root=data_root, device="cpu", checkpoint_every_s=0)
    whole = monitor.Monitor.__call__

    def until(self: monitor.Monitor, report: monitor.StepReport) -> bool:
        ended = whole(self, report)
        if report.step == step:
            sys.exit()
        return ended

    monitor.Monitor.__call__ = until  # type: ignore[method-assign]
    train(config, folder, resume=resume, store=made_store(cache_dir))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
