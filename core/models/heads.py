"""The layers between pooled features and logits."""

from __future__ import annotations

from typing import Final

from torch import nn

HIDDEN_UNITS: Final = 256
DROPOUT: Final = 0.2


def prelu_head(features: int, outputs: int) -> nn.Sequential:
    """Make a head from float (n, features) to logits (n, outputs): linear, PReLU, linear."""
    return nn.Sequential(
        nn.Linear(features, HIDDEN_UNITS),
        nn.PReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN_UNITS, outputs),
    )
