"""Which device the networks run on."""

from __future__ import annotations

from core.errors import DeviceError


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


def _absent(name: str) -> DeviceError:
    return DeviceError(
        f"This machine offers no device {name!r} to PyTorch; choose auto or cpu instead."
    )
