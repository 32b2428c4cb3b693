"""A training that kills itself without a warning; run as a process by the tests of resuming."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from core.config import RunConfig
from core.models import registry
from core.training.trainer import train
from tests.core.training.test_trainer import TinyNetwork


def main(run_dir: str, data_root: str, cache_dir: str, die_at: str, how: str) -> None:
    """Train; die after the step `die_at`, or in the middle of writing its checkpoint."""
    torch.set_num_threads(1)
    registry.MODELS["vertebra", 1] = TinyNetwork
    save, step = torch.save, int(die_at)

    def die_half_way(content, path):
        if content.get("step") == step:
            path.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        save(content, path)

    def die_after(done, total):
        if done == step and how == "step":
            os.kill(os.getpid(), signal.SIGKILL)

    if how == "write":
        torch.save = die_half_way
    config = RunConfig(
        task="vertebra", data_root=data_root, size=32, epochs=3, batch_size=8, folds=3,
        max_lr=0.01, device="cpu", augment=True, checkpoint_every_s=0, loader_workers=1,
    )  # fmt: skip
    folder = Path(run_dir)
    train(
        config, folder, resume=(folder / "config.yaml").exists(), progress=die_after,
        cache_dir=Path(cache_dir),
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
