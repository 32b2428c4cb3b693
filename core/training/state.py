"""The state of a training run, saved so that it can be resumed exactly."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import Precision
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from core.config import RunConfig
from core.errors import TrainingError
from core.system.atomic_files import atomic_path
from core.training.early_stopping import EarlyStopping
from core.training.schedule import rising_share, scheduled_steps

_PLAIN: Final = (
    "epoch", "batch", "step", "recent_losses", "stopped_early", "finished", "validation",
)  # fmt: skip
"""Fields of a state that are plain values."""
_DAMAGE: Final = (
    OSError, RuntimeError, pickle.UnpicklingError, LookupError, ValueError, TypeError,
    AttributeError, EOFError, AssertionError,
)  # fmt: skip
"""Errors that reading a damaged or altered file can raise, in torch and here."""


@dataclass(slots=True)
class TrainingState:
    """The parts of a run that change while it trains.

    Attributes:
        model: The model.
        optimizer: The optimizer.
        scheduler: Learning-rate schedule, stepped per batch.
        precision: Fabric's precision plugin; holds float16's loss scale.
        stopping: Early stopping, None if it is off.
        epoch: Epochs finished.
        batch: Batches trained in the current epoch.
        step: Batches trained.
        recent_losses: Losses of the batches since the last line of metrics.
        stopped_early: Whether early stopping ended the current epoch.
        finished: Whether no epoch is to follow.
        validation: Last measures on the held-out fold, None if there are none.
    """

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    precision: Precision
    stopping: EarlyStopping | None = None
    epoch: int = 0
    batch: int = 0
    step: int = 0
    recent_losses: list[float] = field(default_factory=list[float])
    stopped_early: bool = False
    finished: bool = False
    validation: dict[str, Any] | None = None


def save_training_state(path: Path, state: TrainingState) -> None:
    """Write the state and torch's random generators to `path`, atomically.

    Raises:
        StorageError: The file cannot be written.
    """
    content = {
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scheduler": state.scheduler.state_dict(),
        "precision": state.precision.state_dict(),
        "stopping": None if state.stopping is None else state.stopping.state_dict(),
        **{name: getattr(state, name) for name in _PLAIN},
        **_generators(),
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def save_generators(path: Path, step: int) -> None:
    """Write the random generators of a process other than rank 0.

    Raises:
        StorageError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        torch.save({"step": step, **_generators()}, temporary)


def load_generators(path: Path, step: int) -> bool:
    """Restore the generators written by `save_generators`; False if it wrote no such step.

    Raises:
        TrainingError: The file is damaged.
    """
    if not path.exists():
        return False
    try:
        content = _read_tensors(path)
        if content["step"] != step:
            return False
        torch.set_rng_state(content["rng_cpu"])
        _set_cuda_rng(content["rng_cuda"])
    except _DAMAGE as error:
        raise TrainingError(f"{path} is damaged; delete it and resume again.") from error
    return True


def load_training_state(path: Path, state: TrainingState) -> None:
    """Restore `state` and torch's random generators as written by `save_training_state`.

    Raises:
        TrainingError: The file is damaged or belongs to another model.
    """
    try:
        content = _checked(_read_tensors(path))
        state.model.load_state_dict(content["model"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.scheduler.load_state_dict(content["scheduler"])
        state.precision.load_state_dict(content["precision"])
        # A localiser's run of an older version has none, even if its config asks for it.
        if state.stopping is not None and content["stopping"] is not None:
            state.stopping.load_state_dict(content["stopping"])
        for name in _PLAIN:
            setattr(state, name, content[name])
        torch.set_rng_state(content["rng_cpu"])
        _set_cuda_rng(content["rng_cuda"])
    except _DAMAGE as error:
        raise TrainingError(
            f"{path} cannot be resumed from; start the run again in another folder."
        ) from error


def _checked(content: dict[str, Any]) -> dict[str, Any]:
    """Check the content of a checkpoint and return it.

    Raises:
        ValueError: A field is invalid, or the weights are not finite.
    """
    counts = [content[name] for name in ("epoch", "batch", "step")]
    sound = all(isinstance(count, int) and count >= 0 for count in counts)
    sound = sound and isinstance(content["recent_losses"], list)
    sound = sound and isinstance(content["scheduler"], dict)
    if not sound:
        raise ValueError("a field of the state is invalid")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in content["model"].values()):
        raise ValueError("the weights are not finite")
    return content


def _generators() -> dict[str, Any]:
    return {"rng_cpu": torch.get_rng_state(), "rng_cuda": torch.cuda.get_rng_state_all()}


def _read_tensors(path: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values; refuse anything that could run code."""
    return torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251 - the one audited place


def _set_cuda_rng(states: list[Tensor]) -> None:
    for device, generator in enumerate(states[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(generator, device)


def fresh_state(
    fabric: Fabric,
    config: RunConfig,
    model: nn.Module,
    total_steps: int,
    stopping: EarlyStopping | None = None,
) -> TrainingState:
    """Set up a network for training: Adam, one-cycle learning rate, channels last.

    Args:
        fabric: Device, precision and processes.
        config: Config of the run.
        model: The network with its initial weights.
        total_steps: Batches of the whole run.
        stopping: Early stopping; None for none.
    """
    # Channels last is about twice as fast for convolutions on CPUs and on tensor cores.
    model = model.to(memory_format=torch.channels_last)
    optimizer = Adam(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    scheduler = OneCycleLR(
        optimizer,
        max_lr=config.learning_rate,
        total_steps=scheduled_steps(total_steps),
        pct_start=rising_share(total_steps, config.pct_start),
    )
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    return TrainingState(wrapped, wrapped_optimizer, scheduler, fabric.strategy.precision, stopping)
