"""Batches of slices as tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class TensorBatch:
    """Base of data classes whose fields are tensors of n slices, or tuples of n tensors.

    Attributes:
        index: int64 (n,), position of each slice in the data set.
    """

    __slots__ = ()
    index: Tensor

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.index)

    def to(self, device: str | torch.device, *, non_blocking: bool = False) -> Self:
        """The same on another device.

        Args:
            device: The device.
            non_blocking: Go on while the copy is made; only from page-locked memory to a GPU.
        """
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same in page-locked memory, from which a GPU can copy beside its work."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = [getattr(self, field.name) for field in fields(cast(Any, self))]
        return type(self)(
            *(tuple(map(change, v)) if isinstance(v, tuple) else change(v) for v in values)
        )
