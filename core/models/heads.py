"""The layers between pooled features and logits."""

from __future__ import annotations

from typing import Final

from torch import nn

HIDDEN_UNITS: Final = 256
DROPOUT: Final = 0.2
EMBEDDING_UNITS: Final = 32


def prelu_head(features: int, outputs: int) -> nn.Sequential:
    """Make a head from float (n, features) to logits (n, outputs): linear, PReLU, linear."""
    return nn.Sequential(
        nn.Linear(features, HIDDEN_UNITS),
        nn.PReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN_UNITS, outputs),
    )


def prelu_embedding(values: int) -> nn.Sequential:
    """Make an embedding of a few numbers a slice, float (n, values), to (n, EMBEDDING_UNITS).

    Two layers let it bend: a slice ratio or a presence speaks of vertebrae in no linear way.
    """
    return nn.Sequential(
        nn.Linear(values, EMBEDDING_UNITS),
        nn.PReLU(),
        nn.Linear(EMBEDDING_UNITS, EMBEDDING_UNITS),
        nn.PReLU(),
    )
