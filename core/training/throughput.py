"""Training speed of a network on this machine, measured on random images in seconds."""

from __future__ import annotations

import time
from typing import Final

import torch
from torch.optim import Adam

from core.config import RunConfig
from core.models.registry import build_model
from core.preprocessing.network_input import N_CHANNELS
from core.training.distributed import Processes, start_fabric
from core.training.losses import loss_for
from core.training.schedule import Pace

STEPS: Final = 3
MAX_BATCH: Final = 16
"""A larger batch takes longer without a better measurement."""


def measure_pace(config: RunConfig, *, steps: int = STEPS) -> Pace:
    """Time training steps of a run on random batches, after one warm-up step.

    Reading, augmentation and validation are not included.

    Args:
        config: Config of the run; its data are not read.
        steps: Batches timed, >= 1.

    Raises:
        ConfigError: There is no such model, or its backbone does not take this size.
        DeviceError: The device is not available.
    """
    fabric = start_fabric(config, Processes())
    size = config.preparation.size
    network = build_model(config.task, config.type, config.backbone, size=size)
    network = network.to(memory_format=torch.channels_last)
    model, optimizer = fabric.setup(network, Adam(network.parameters(), lr=config.learning_rate))
    model.train()
    criterion = loss_for(config.task, config.type, config.alpha)
    count = max(min(config.batch_size, MAX_BATCH), 2)
    is_grey = config.preparation.channels == "grey"
    shape = (count, size, size) if is_grey else (count, N_CHANNELS, size, size)
    images = fabric.to_device(torch.randint(0, 256, shape, dtype=torch.uint8))
    metadata, presence = (fabric.to_device(torch.rand(count, n)) for n in (3, 7))
    started = time.perf_counter()
    for step in range(steps + 1):
        if step == 1:
            started = time.perf_counter()
        loss = criterion(model(images, metadata, presence), presence, presence)
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        loss.item()  # Waits for the device.
    speed = steps * count / (time.perf_counter() - started)
    return Pace(config.backbone, size, config.precision, speed)
