"""A training script for `torchrun`, started by the tests of several processes."""

from __future__ import annotations

import sys
from pathlib import Path

from core.config import RunConfig
from core.models import slice_model
from core.training import monitor
from core.training.trainer import train
from tests.stores import made_store


def main(folder: Path, data_root: Path, cache_dir: Path, resume: bool = False) -> None:
    """Train a network without batch norm and dropout: batch splits do not change its result."""
    slice_model.DROPOUT = 0.0
    monitor.LOG_EVERY_STEPS = 1
    config = RunConfig(
        task="fracture", type=3, backbone="alexnet", data_root=data_root, size=64, epochs=2,
        batch_size=8, folds=3, max_lr=1e-4, device="cpu", augment=True, checkpoint_every_s=0,
    )  # fmt: skip
    train(config, folder, resume=resume, store=made_store(cache_dir))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
