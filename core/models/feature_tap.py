"""Features of a network, taken from a forward pass that runs anyway."""

from __future__ import annotations

from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.models.slice_model import SliceModel


class FeatureTap:
    """Collects the pooled features of a slice model's backbone while it is open.

    Args:
        model: The network; its outputs do not change.
    """

    def __init__(self, model: SliceModel) -> None:
        self._model = model
        self._latest: Tensor | None = None
        self._kept: list[NDArray[np.float32]] = []

    def __enter__(self) -> FeatureTap:
        self._handle = self._model.backbone.register_forward_hook(self._take)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._handle.remove()

    def keep(self) -> None:
        """Keep the features of the latest pass; a pass that failed is not kept."""
        if self._latest is not None:
            self._kept.append(self._latest.float().cpu().numpy())
            self._latest = None

    def features(self) -> NDArray[np.float32]:
        """Features kept so far, float32 (n_slices, features), in the order of the passes."""
        return np.concatenate(self._kept)

    def _take(self, _module: nn.Module, _inputs: object, output: object) -> None:
        maps = list(output.values())[-1] if isinstance(output, dict) else output
        if not isinstance(maps, Tensor):
            raise TypeError(f"A backbone gives a tensor, not {type(maps).__name__}.")
        self._latest = maps if maps.ndim == 2 else torch.flatten(maps, 2).mean(dim=2)
