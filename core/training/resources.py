"""What a run uses of its machine, sampled by a thread into its metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil
import pynvml

from core.errors import CSpineError
from core.training.runs import FollowerRun, RunFolder

EVENT: Final = "resources"
EVERY_SECONDS: Final = 5.0
_SHARE_OF_TIME: Final = 0.01
"""Samples of long runs are this share of the time so far apart: some hundred lines in a week."""


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """One sample; shares in [0, 1], None for what the machine does not report.

    Attributes:
        cpu_share: Use of all cores since the last sample.
        memory_share: Memory of the machine that is in use.
        disk_free_gib: Free space where the run is written.
        gpu_share: Time in which the GPU worked.
        gpu_memory_share: Memory of the GPU that is in use.
        gpu_celsius: Temperature of the GPU.
    """

    cpu_share: float
    memory_share: float
    disk_free_gib: float
    gpu_share: float | None = None
    gpu_memory_share: float | None = None
    gpu_celsius: int | None = None


@contextmanager
def sampled(run: RunFolder, gpu: int | None) -> Iterator[None]:
    """Sample while the block runs, in the process that writes the run.

    Args:
        run: The run's folder.
        gpu: Index of the GPU that the run uses; None without one of NVIDIA's.
    """
    if isinstance(run, FollowerRun):
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_sample, args=(run, gpu, over), name="resources", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        # A driver that hangs does not hold the run up.
        thread.join(EVERY_SECONDS)


def take_sample(folder: str, gpu: int | None) -> ResourceSample:
    """Sample the machine; the use of the cores counts from the last call.

    Args:
        folder: A folder of the disk in question.
        gpu: As for `sampled`.
    """
    disk = psutil.disk_usage(folder)
    return ResourceSample(
        cpu_share=round(psutil.cpu_percent(None) / 100, 3),
        memory_share=round(psutil.virtual_memory().percent / 100, 3),
        disk_free_gib=round(disk.free / 2**30, 1),
        **({} if gpu is None else _gpu(gpu)),
    )


def _sample(run: RunFolder, gpu: int | None, over: threading.Event) -> None:
    began = time.monotonic()
    psutil.cpu_percent(None)
    while not over.wait(max(EVERY_SECONDS, _SHARE_OF_TIME * (time.monotonic() - began))):
        # A full disk or a lost lock is for the run itself to report.
        with suppress(CSpineError, OSError, psutil.Error):
            status = run.last_status
            values = asdict(take_sample(str(run.folder), gpu))
            run.append_metrics(EVENT, step=status.step, epoch=status.epoch, **values)


def _gpu(index: int) -> dict[str, Any]:
    """Values of a GPU; empty where the driver does not give them."""
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return {
            "gpu_share": int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100,
            "gpu_memory_share": round(int(memory.used) / int(memory.total), 3),
            "gpu_celsius": int(
                pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
            ),
        }
    except pynvml.NVMLError:
        return {}
