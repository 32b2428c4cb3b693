"""Which device the networks run on."""

from __future__ import annotations

import logging

from core.errors import DeviceError

_log = logging.getLogger(__name__)


def pick_device(name: str = "auto") -> str:
    """Return a torch device name that is really there.

    Args:
        name: "auto" takes cuda, else mps, else cpu; otherwise "cpu", "mps", "cuda" or "cuda:1".

    Raises:
        DeviceError: The name is unknown or the device is not in this machine.
    """
    # Imported here: pages ask for no device until a network runs, and torch costs seconds.
    import torch

    family, _, index = name.partition(":")
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cpu":
        return name
    if name == "mps":
        if torch.backends.mps.is_available():
            return name
        raise _absent(name)
    if name == "cuda" or (family == "cuda" and index.isdecimal()):
        if torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count():
            return name
        raise _absent(name)
    raise DeviceError(f"There is no device named {name!r}; choose auto, cpu, cuda, cuda:N or mps.")


def smaller_batch(tried: int, device: str, network: str, error: Exception) -> int:
    """Half of a batch that the device's memory did not take; the log says so.

    Args:
        tried: Slices in the batch.
        device: Where it was tried.
        network: Name of the bundle.
        error: What the device said.

    Raises:
        DeviceError: It was a single slice already.
    """
    import torch

    if tried <= 1:
        raise DeviceError(
            f"{device} has too little free memory for one slice of {network}; free some, or "
            "choose cpu."
        ) from error
    _log.warning(
        "%s has too little free memory for %d slices of %s at once; going on with %d.",
        device, tried, network, tried // 2,
    )  # fmt: skip
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    return tried // 2


def _absent(name: str) -> DeviceError:
    return DeviceError(
        f"This machine offers no device {name!r} to PyTorch; choose auto or cpu instead."
    )
