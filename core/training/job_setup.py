"""A run's network and batches as this process trains them on its device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from lightning_fabric import Fabric

from core.config import RunConfig
from core.training.batches import Batches, BatchKind
from core.training.compilation import compile_part
from core.training.distributed import Processes, chosen_workers, with_synced_norms
from core.training.early_stopping import EarlyStopping
from core.training.engine import StepReport, train_one_epoch
from core.training.monitor import LOG_EVERY_STEPS
from core.training.state import TrainingState, fresh_state
from core.training.task import TrainingTask


def initial_state(
    task: TrainingTask[Any, Any], fabric: Fabric, processes: Processes, total_steps: int
) -> TrainingState:
    """The state of a run before its first step.

    Args:
        task: The run's task, which is told where its slices are augmented.
        fabric: Device, precision and processes.
        processes: Place of this process among them.
        total_steps: Batches of the whole run.

    Raises:
        BundleError: `init_from` cannot be used.
        DeviceError: The network shall be compiled, but the machine has no compiler.
    """
    config, device = task.config, fabric.device
    # A GPU augments a batch in the time in which a processor's core augments one slice.
    automatic = "device" if device.type == "cuda" else "loader"
    chosen = automatic if config.augment_on == "auto" else config.augment_on
    task.augments_on_device = chosen == "device"
    network = with_synced_norms(task.network(), config, processes, device)
    if config.compile_network:
        compile_part(task.compiled_part(network), device)
    state = fresh_state(fabric, config, network, total_steps, EarlyStopping.of(config))
    # Dropout differs between processes; the weights were drawn from one seed above.
    if processes.rank:
        torch.manual_seed(config.seed + processes.rank)
    return state


def shared_batches(
    batches: Batches[BatchKind],
    config: RunConfig,
    fabric: Fabric,
    processes: Processes,
    *,
    first: int = 0,
) -> Batches[BatchKind]:
    """This process's share of the batches from `first` on, prepared in advance for its device."""
    return replace(
        batches,
        first=first,
        shard=(processes.rank, processes.world),
        pin_memory=fabric.device.type == "cuda",
        workers=chosen_workers(config, processes, fabric.device),
    )


def train_batches(
    task: TrainingTask[Any, Any],
    fabric: Fabric,
    state: TrainingState,
    batches: Batches[Any],
    on_step: Callable[[StepReport], bool],
) -> None:
    """Train on the batches as the task's config says; arguments and errors of `train_one_epoch`."""
    train_one_epoch(
        fabric,
        state,
        batches,
        task.add_gradients,
        on_step=on_step,
        gradient_clip=task.config.gradient_clip,
        parts=task.config.accumulate,
        # On the CPU a loss can be read as soon as it is computed.
        read_every=1 if fabric.device.type == "cpu" else LOG_EVERY_STEPS,
    )
