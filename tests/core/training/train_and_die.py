"""A training that kills itself without a warning; run in a process by the tests of resuming."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch

from core.config import RunConfig
from core.models import registry
from core.training.trainer import train
from tests.core.training.test_trainer import TinyNetwork
from tests.stores import made_store


def main(folder: Path, data_root: Path, cache_dir: Path, die_at: int, how: str) -> None:
    """Train; die after the step `die_at`, or in the middle of writing its checkpoint."""
    registry.MODELS["vertebra", 1] = TinyNetwork
    save = torch.save

    def die_half_way(content, path):
        if content.get("step") == die_at:
            path.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        save(content, path)

    def die_after(done, total):
        if done == die_at and how == "step":
            os.kill(os.getpid(), signal.SIGKILL)

    if how == "write":
        torch.save = die_half_way
    config = RunConfig(
        task="vertebra", data_root=data_root, size=32, epochs=3, batch_size=8, folds=3,
        max_lr=0.01, device="cpu", augment=True, checkpoint_every_s=0, loader_workers=1,
    )  # fmt: skip
    train(
        config, folder, resume=(folder / "config.yaml").exists(), progress=die_after,
        store=made_store(cache_dir),
    )  # fmt: skip
