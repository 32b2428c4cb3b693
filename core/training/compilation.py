"""Compiling a network for its device."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from core.errors import DeviceError

BACKEND: Final = "inductor"
"""torch's own compiler, which needs a C++ compiler on a CPU and Triton on a GPU."""


def compile_part(part: nn.Module, device: torch.device) -> None:
    """Have `torch.compile` make the code of a network when it is first called.

    The names of the weights stay, so that checkpoints and bundles do.

    Raises:
        DeviceError: This machine lacks a compiler.
    """
    try:
        torch.compile(torch.sin, backend=BACKEND)(torch.zeros(2, device=device))
    except RuntimeError as error:
        raise DeviceError(
            "This machine has no compiler that `compile_network` could use; install a C++ compiler "
            "(on a GPU Triton too), or set `compile_network: false`."
        ) from error
    part.compile(backend=BACKEND)
