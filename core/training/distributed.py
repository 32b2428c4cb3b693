"""Processes that train one model together, started by `torchrun`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed

from core.config import RunConfig
from core.errors import DeviceError

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Processes:
    """Place of this process among those of its run.

    Attributes:
        rank: Rank of this process; 0 writes the run's folder.
        world: Total number of processes.
        per_node: Processes on each machine.
    """

    rank: int = 0
    world: int = 1
    per_node: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run's folder."""
        return self.rank == 0


def processes_of_torchrun() -> Processes:
    """Read this process's place from `torchrun`'s environment; a single process without it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes()
    return Processes(
        rank=int(os.environ["RANK"]),
        world=int(os.environ["WORLD_SIZE"]),
        per_node=int(os.environ["LOCAL_WORLD_SIZE"]),
    )


def start_fabric(config: RunConfig, processes: Processes) -> Fabric:
    """Set up seeds, determinism, precision and devices.

    Raises:
        DeviceError: The device is not available.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(config.device, True):
        raise DeviceError(f"This machine has no {config.device} device; set `device: auto`.")
    # cuDNN's fastest kernels may differ from run to run; one seed must give one model.
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
    """Give rank 0's answer to all processes."""
    if processes.world == 1:
        return answer
    value = torch.tensor(float(answer and processes.is_first), device=fabric.device)
    return bool(cast(Tensor, fabric.all_reduce(value, reduce_op="sum")).item() > 0)


def gather_rows(fabric: Fabric, rows: list[Row]) -> list[Row]:
    """Gather every process's picklable rows, by rank, on all processes."""
    if fabric.world_size == 1:
        return rows
    found: list[Any] = [None] * fabric.world_size
    distributed.all_gather_object(found, rows)
    return [row for part in found for row in part]
