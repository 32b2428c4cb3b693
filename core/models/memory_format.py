"""The order of channels in memory with which convolutions are fastest."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """Store kernels channels last: about twice as fast on CPUs and on tensor cores."""
    has_volumes = any(isinstance(module, nn.Conv3d) for module in network.modules())
    memory_format = torch.channels_last_3d if has_volumes else torch.channels_last
    return network.to(memory_format=memory_format)
