"""The device that the networks run on."""

from __future__ import annotations

import logging
import re

from core.errors import DeviceError

_log = logging.getLogger(__name__)


def pick_device(name: str = "auto") -> str:
    """Return the name of an available torch device.

    Args:
        name: "auto" takes cuda, else mps, else cpu; otherwise "cpu", "mps", "cuda" or "cuda:1".

    Raises:
        DeviceError: The name is unknown or the device is not available.
    """
    # Imported here: importing torch takes seconds, and pages need no device until a network runs.
    import torch

    found = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if name == "auto":
        return next(family for family, count in found.items() if count)
    asked = re.fullmatch(r"(cpu|mps|cuda)(?:(?<=cuda):(\d{1,4}))?", name)
    if asked is None:
        raise DeviceError(
            f"There is no device named {name!r}; choose auto, cpu, cuda, cuda:N or mps."
        )
    if int(asked[2] or 0) >= found[asked[1]]:
        raise DeviceError(
            f"PyTorch finds no device {name!r} on this machine; choose auto or cpu instead."
        )
    return name


def smaller_batch(tried: int, device: str, network: str, error: Exception) -> int:
    """Return half the size of a batch that did not fit into the device's memory, and log it.

    Args:
        tried: Slices in the batch.
        device: Name of the device.
        network: Name of the bundle.
        error: Error of the device.

    Raises:
        DeviceError: The batch was a single slice.
    """
    import torch

    if tried <= 1:
        raise DeviceError(
            f"{device} has too little free memory for one slice of {network}; free some, or "
            "choose cpu."
        ) from error
    _log.warning(
        "%s has too little free memory for %d slices of %s at once; continuing with %d.",
        device, tried, network, tried // 2,
    )  # fmt: skip
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    return tried // 2
