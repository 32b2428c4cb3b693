"""How long training waits for its batches: less than a tenth of the time of a step.

One epoch of a MobileNetV3 on the CPU, batches of 16 augmented slices of 256 x 256, each made when
it is asked for and again by a thread ahead. The slices are memory-mapped from a store that is built
first. A GPU shortens the step, not the loading: there the share grows and `loader_workers` earns
its keep, so the batches per second that the loader alone makes are printed too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from lightning_fabric import Fabric

from core.cache.entries import fetch_entry
from core.config import Settings
from core.models.registry import build_model
from core.prepared.slice_dataset import SliceDataset
from core.prepared.slices import StudySlices
from core.training.batches import Batches
from core.training.engine import train_one_epoch
from core.training.losses import loss_for
from core.training.slice_engine import add_slice_gradients
from core.training.state import TrainingState

TARGET_SHARE: Final = 0.1
SIZE: Final = 256
BATCH_SIZE: Final = 16


def stored_slices(folder: Path, slices: int) -> SliceDataset:
    """Made-up slices, memory-mapped from a store as prepared ones are."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (slices, SIZE, SIZE), dtype=np.uint8)
    presence = rng.random((slices, 7)) < 0.2
    entry = fetch_entry(
        replace(Settings().store, folder=folder),
        "slices",
        "0" * 64,
        lambda: ({"images": images}, {}),
    )
    study = StudySlices(entry.arrays["images"], presence, None, -np.arange(float(slices)), "made")
    return SliceDataset([study], "vertebra")


def wait_share(dataset: SliceDataset, order: Any, workers: int) -> tuple[float, float]:  # noqa: ANN401
    """Share of an epoch spent waiting for batches, and its seconds per step."""
    torch.manual_seed(0)
    fabric = Fabric(accelerator="cpu", devices=1)
    model = build_model("vertebra", 1, "mobilenet_v3_large")
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer)
    wrapped, optimizer = fabric.setup(model, optimizer)
    state = TrainingState(wrapped, optimizer, scheduler, fabric.strategy.precision)
    learn = partial(add_slice_gradients, criterion=loss_for("vertebra", 1))
    # The first step of a process imports and sets up much that has nothing to do with training.
    warm_up = Batches(dataset, order[:BATCH_SIZE], BATCH_SIZE)
    train_one_epoch(fabric, state, warm_up, learn, on_step=lambda _: False)
    batches = Batches(dataset, order, BATCH_SIZE, augment_seed=(0,), workers=workers)
    start = time.perf_counter()
    train_one_epoch(fabric, state, batches, learn, on_step=lambda _: False)
    elapsed = time.perf_counter() - start
    return batches.waited_s / elapsed, elapsed / len(batches)


def batches_per_second(dataset: SliceDataset, order: Any, workers: int) -> float:  # noqa: ANN401
    """Speed of the loader alone."""
    batches = Batches(dataset, order, BATCH_SIZE, augment_seed=(0,), workers=workers)
    start = time.perf_counter()
    for _ in batches:
        pass
    return len(batches) / (time.perf_counter() - start)


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = stored_slices(Path(folder), slices=512)
        rng = np.random.default_rng(1)
        order = rng.integers(0, len(dataset), options.steps * BATCH_SIZE)
        for workers in (0, 1):
            share, step = wait_share(dataset, order, workers)
            speed = batches_per_second(dataset, np.resize(order, 40 * BATCH_SIZE), workers)
            print(
                f"{workers} workers: {step:.2f} s per step, {share:.2%} of it waiting; "
                f"the loader alone makes {speed:.0f} batches per second"
            )
            figures.append(
                {
                    "name": f"loader wait, {workers} workers",
                    "peer": "a tenth of the step's time",
                    "ratio": round(TARGET_SHARE / max(share, 1e-6), 1),
                    "target": 1.0,
                    "share": round(share, 5),
                }
            )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
