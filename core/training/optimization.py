"""How the weights of a run change: optimizer, learning rate, and their moving average."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from core.config import RunConfig
from core.training.schedule import rising_share, scheduled_steps

BACKBONES: Final = ("backbone.", "detector.backbone.body.")
"""Beginnings of the names of a backbone's weights, in slice networks and in localisers."""


def optimizer_for(config: RunConfig, network: nn.Module) -> Optimizer:
    """Adam, whose decay is a part of the gradient, or AdamW, which decays kernels alone.

    AdamW leaves scales of norms, biases and slopes of PReLU as they are: to pull those to 0 does
    not make a network simpler (He et al. 2019, "Bag of Tricks", section 3.1). The backbone has its
    own group of weights if its rate differs, so that `schedule_for` can tell it from the rest.
    """
    groups: defaultdict[tuple[bool, bool], list[nn.Parameter]] = defaultdict(list)
    for name, weights in network.named_parameters():
        decays = config.optimizer == "adam" or weights.ndim > 1
        is_slow = config.backbone_lr_share != 1.0 and name.startswith(BACKBONES)
        groups[is_slow, decays].append(weights)
    described: list[dict[str, Any]] = [
        {
            "params": weights,
            "lr": config.learning_rate * (config.backbone_lr_share if is_slow else 1.0),
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (is_slow, decays), weights in groups.items()
    ]
    return {"adam": Adam, "adamw": AdamW}[config.optimizer](described)


def schedule_for(config: RunConfig, optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """The one-cycle learning rate of each group of weights, from its own peak.

    Args:
        config: Config of the run.
        optimizer: From `optimizer_for`.
        total_steps: Batches of the whole run.
    """
    return OneCycleLR(
        optimizer,
        max_lr=[float(group["lr"]) for group in optimizer.param_groups],
        total_steps=scheduled_steps(total_steps),
        pct_start=rising_share(total_steps, config.pct_start),
    )


class WeightAverage:
    """A copy of a network whose weights are an exponential moving average of the network's.

    After step n the average keeps min(decay, (n + 1) / (n + 10)) of itself: otherwise the random
    start would count for thousands of steps. Batch norm's statistics are the network's own.

    Args:
        network: The network.
        decay: Share that is kept at each step, in (0, 1).

    Attributes:
        network: The copy; it needs no gradients.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network).requires_grad_(requires_grad=False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights of `network` after its step number `step`, from 1."""
        kept = min(self.decay, (step + 1) / (step + 10))
        for own, given in _pairs(self.network.parameters(), network.parameters()):
            own.lerp_(given, 1.0 - kept)
        for own, given in _pairs(self.network.buffers(), network.buffers()):
            own.copy_(given)


def _pairs(own: Any, given: Any) -> zip[tuple[Tensor, Tensor]]:  # noqa: ANN401 - iterators of tensors
    return zip(own, given, strict=True)
