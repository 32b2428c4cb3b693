"""The processes that train one model together, as `torchrun` starts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed

from core.config import RunConfig
from core.errors import DeviceError


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of its run.

    Attributes:
        rank: 0 writes the run's folder.
        world: Processes in all.
        per_node: Processes on each machine.
    """

    rank: int = 0
    world: int = 1
    per_node: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0


def processes_of_torchrun() -> Processes:
    """What `torchrun` says of this process; one alone where it was started otherwise."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes()
    return Processes(
        rank=int(os.environ["RANK"]),
        world=int(os.environ["WORLD_SIZE"]),
        per_node=int(os.environ["LOCAL_WORLD_SIZE"]),
    )


def start_fabric(config: RunConfig, processes: Processes) -> Fabric:
    """Set seeds, determinism, precision and devices up.

    Raises:
        DeviceError: The device asked for is not there.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(config.device, True):
        raise DeviceError(f"This machine has no {config.device} device; set `device: auto`.")
    # cuDNN's quickest kernels may differ from run to run; the same seed shall give the same model.
    torch.backends.cudnn.deterministic = config.deterministic
    torch.backends.cudnn.benchmark = not config.deterministic
    fabric = Fabric(
        accelerator=config.device,
        devices=processes.per_node,
        num_nodes=processes.world // processes.per_node,
        strategy="ddp" if processes.world > 1 else "auto",
        precision=config.precision,
    )
    fabric.launch()
    torch.manual_seed(config.seed)
    return fabric


def agree(fabric: Fabric, processes: Processes, answer: bool) -> bool:
    """Make rank 0's answer that of all processes."""
    if processes.world == 1:
        return answer
    told = torch.tensor(float(answer and processes.is_first), device=fabric.device)
    return bool(cast(Tensor, fabric.all_reduce(told, reduce_op="sum")).item() > 0)


def gather_objects(fabric: Fabric, value: object) -> list[object]:
    """Give every process's picklable `value`, by rank, to all of them."""
    if fabric.world_size == 1:
        return [value]
    found: list[object] = [None] * fabric.world_size
    distributed.all_gather_object(found, value)
    return found
