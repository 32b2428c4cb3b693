"""Processes that train one model together, started by `torchrun`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import torch
from joblib import cpu_count
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn

from core.config import RunConfig
from core.errors import DeviceError

MAX_WORKERS: Final = 16
"""Loader threads for one GPU: more than feed the fastest network, and copies share one memory."""

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


def chosen_precision(config: RunConfig) -> str:
    """The config's precision; for "auto" the fastest that the device is built for.

    A GPU with bfloat16 in hardware (NVIDIA from 2020 on) needs no scaling of the loss; an older one
    takes float16. Elsewhere only float32 gives the same result on every machine.
    """
    if config.precision != "auto":
        return config.precision
    if config.device not in ("auto", "cuda") or not torch.cuda.is_available():
        return "32-true"
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if has_bfloat16 else "16-mixed"


def chosen_workers(config: RunConfig, processes: Processes, device: torch.device) -> int:
    """The config's loader threads; if it leaves them open, as many as the machine can feed.

    A GPU waits for nothing else, so that every core of its process but one prepares batches. On the
    CPU the network takes the cores itself, and one thread suffices to stay ahead of it.
    """
    if config.loader_workers is not None:
        return config.loader_workers
    cores = cpu_count() // processes.per_node
    if device.type == "cpu":
        return min(cores - 1, 1) if cores else 0
    return max(min(cores - 1, MAX_WORKERS), 1)


def with_synced_norms(
    network: nn.Module, config: RunConfig, processes: Processes, device: torch.device
) -> nn.Module:
    """Have batch norm take its statistics from the slices of all processes, on GPUs only.

    torch has no such layer for the CPU.
    """
    if processes.world == 1 or device.type != "cuda" or not config.sync_batch_norm:
        return network
    return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(network))


def share_buffers(fabric: Fabric, network: nn.Module) -> None:
    """Give all processes rank 0's batch norm statistics, so that they measure one network."""
    if fabric.world_size > 1:
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)


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
        precision=cast(Any, chosen_precision(config)),
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
