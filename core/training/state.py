"""The state of a training run, saved so that it can be resumed exactly."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import Precision
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from core.config import RunConfig
from core.errors import TrainingError
from core.models.memory_format import channels_last
from core.system.atomic_files import atomic_path
from core.training.early_stopping import EarlyStopping
from core.training.optimization import WeightAverage, optimizer_for, schedule_for

_PLAIN: Final = (
    "epoch", "batch", "step", "recent_losses", "stopped_early", "finished", "validation",
)  # fmt: skip
"""Fields of a state that are plain values."""
_DAMAGE: Final = (
    OSError, RuntimeError, pickle.UnpicklingError, LookupError, ValueError, TypeError,
    AttributeError, EOFError, AssertionError,
)  # fmt: skip
"""Errors that reading a damaged or altered file can raise, in torch and here."""


@dataclass(frozen=True, slots=True, eq=False)
class BestEpoch:
    """The epoch with the best measures on the held-out fold so far.

    Attributes:
        epoch: Its number, from 1.
        loss: What the epochs are compared by; the lowest is the best.
        validation: Its measures.
        weights: The weights after it, on the CPU.
    """

    epoch: int
    loss: float
    validation: dict[str, Any]
    weights: dict[str, Tensor]


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
        average: Moving average of the weights, None if it is off.
        best: The best epoch so far, None if the last epoch is kept.
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
    average: WeightAverage | None = None
    best: BestEpoch | None = None

    @property
    def network(self) -> nn.Module:
        """The network itself, as it was before `fabric` set it up."""
        return cast(nn.Module, getattr(self.model, "module", self.model))

    @property
    def scored(self) -> nn.Module:
        """The network that is measured and kept: the average, if there is one."""
        return self.network if self.average is None else self.average.network

    def decides_after(self, unread: int) -> bool:
        """Whether early stopping decides once so many further losses are read."""
        stopping = self.stopping
        return (
            stopping is not None
            and stopping.watches == "training"
            and stopping.window_count + unread >= stopping.every
        )

    def descend(self, *, skipped: bool = False) -> None:
        """Change the weights by their gradient, and step the schedule and the average.

        Args:
            skipped: Only the schedule goes on.
        """
        if skipped:
            self.optimizer.zero_grad()
        else:
            self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        if self.average is not None and not skipped:
            self.average.update(self.network, self.step)

    def keep_if_best(self, loss: float) -> None:
        """Keep a copy of the weights if no epoch before had so low a `loss`."""
        if self.validation is None or (self.best is not None and self.best.loss <= loss):
            return
        weights = {k: v.detach().cpu().clone() for k, v in self.scored.state_dict().items()}
        self.best = BestEpoch(self.epoch, loss, self.validation, weights)


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
        "average": None if state.average is None else state.scored.state_dict(),
        "best": None if state.best is None else _fields(state.best),
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
        state.optimizer.load_state_dict(_fitting_optimizer(content, state.network))
        state.scheduler.load_state_dict(content["scheduler"])
        state.precision.load_state_dict(content["precision"])
        # A localiser's run of an older version has none, even if its config asks for it.
        if state.stopping is not None and content["stopping"] is not None:
            state.stopping.load_state_dict(content["stopping"])
        if state.average is not None:
            state.scored.load_state_dict(content["average"])
        if content.get("best") is not None:  # Checkpoints of older versions have none.
            state.best = BestEpoch(**content["best"])
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


def _fields(best: BestEpoch) -> dict[str, Any]:
    return {one.name: getattr(best, one.name) for one in fields(best)}


def _fitting_optimizer(content: dict[str, Any], network: nn.Module) -> dict[str, Any]:
    """The optimizer's state without weights that the network no longer has.

    An optimizer knows its weights by number, in the network's order; a checkpoint of an older
    version has one group of them.
    """
    optimizer, own = content["optimizer"], network.state_dict()
    trained = {name for name, _ in network.named_parameters()}
    saved = [name for name in content["model"] if name in trained or name not in own]
    kept = [number for number, name in enumerate(saved) if name in trained]
    if len(kept) == len(saved):
        return optimizer
    (group,) = optimizer["param_groups"]
    state = {new: optimizer["state"][old] for new, old in enumerate(kept)}
    return {"state": state, "param_groups": [group | {"params": list(range(len(kept)))}]}


def _generators() -> dict[str, Any]:
    """State of this process's generators: of the CPU and of its own GPU, if it has one."""
    own = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return {"rng_cpu": torch.get_rng_state(), "rng_cuda": own}


def _read_tensors(path: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values; refuse anything that could run code."""
    return torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251 - the one audited place


def _set_cuda_rng(states: list[Tensor]) -> None:
    """Restore the generator of this process's GPU; older versions saved those of all GPUs."""
    if states and torch.cuda.is_available():
        own = torch.cuda.current_device() if len(states) > 1 else 0
        torch.cuda.set_rng_state(states[min(own, len(states) - 1)])


def fresh_state(
    fabric: Fabric,
    config: RunConfig,
    model: nn.Module,
    total_steps: int,
    stopping: EarlyStopping | None = None,
) -> TrainingState:
    """Set up a network for training, channels last.

    Args:
        fabric: Device, precision and processes.
        config: Config of the run.
        model: The network with its initial weights.
        total_steps: Batches of the whole run.
        stopping: Early stopping; None for none.
    """
    model = channels_last(model)
    optimizer = optimizer_for(config, model)
    scheduler = schedule_for(config, optimizer, total_steps)
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    precision = fabric.strategy.precision
    state = TrainingState(wrapped, wrapped_optimizer, scheduler, precision, stopping)
    if config.ema_decay:
        state.average = WeightAverage(state.network, config.ema_decay)
    return state
