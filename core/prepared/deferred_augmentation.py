"""Augmentation of a whole batch on the device that the batch is moved to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.prepared.batch import TensorBatch
from core.preprocessing.augmentation import Augmentation, color_matrix, grey_table, pixel_matrix

BatchKind = TypeVar("BatchKind", bound=TensorBatch)


@dataclass(frozen=True, slots=True, eq=False)
class Changes(TensorBatch):
    """Drawn augmentations of n slices as tensors.

    Attributes:
        sources: float64 (n, 2, 3), affine map from pixels (x, y) of the result to the slice's.
        colors: float32 (n, 3, 3), matrix on the three channels.
        levels: uint8 (n, 256), new grey level of each old one.
    """

    sources: Tensor
    colors: Tensor
    levels: Tensor

    @classmethod
    def of(cls, draws: Sequence[Augmentation], width: int, height: int) -> Changes:
        """The changes of slices of `width` times `height` pixels."""
        return cls(
            torch.from_numpy(np.stack([_source_map(draw, width, height) for draw in draws])),
            torch.from_numpy(np.stack([color_matrix(draw) for draw in draws])),
            torch.from_numpy(np.stack([grey_table(draw) for draw in draws])),
        )

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.levels)

    def applied(self, images: Tensor) -> Tensor:
        """Augment a batch, as `core.preprocessing.augmentation` does, to one grey level.

        Args:
            images: uint8 (n, h, w) or (n, 3, h, w), on the device of the changes.

        Returns:
            uint8 of the same shape.
        """
        channels = images.unsqueeze(1) if images.ndim == 3 else images
        moved = functional.grid_sample(
            channels.float(), self._grid(*channels.shape[-2:]), mode="bilinear",
            padding_mode="zeros", align_corners=True,
        ).round()  # fmt: skip
        if channels.shape[1] > 1:
            turned = torch.einsum("nij,njhw->nihw", self.colors, moved)
            moved = turned.round().clamp(0, 255)
        levels = moved.long().flatten(1)
        return self.levels.gather(1, levels).view_as(images)

    def _grid(self, height: int, width: int) -> Tensor:
        """Where each pixel comes from, float32 (n, h, w, 2) in the units of `grid_sample`."""
        device, kind = self.sources.device, self.sources.dtype
        x = torch.arange(width, device=device, dtype=kind).view(1, 1, 1, width)
        y = torch.arange(height, device=device, dtype=kind).view(1, 1, height, 1)
        a, b, c = self.sources[..., None, None].unbind(2)
        places = a * x + b * y + c
        sides = torch.tensor([width - 1, height - 1], device=device, dtype=kind)
        return (places.movedim(1, -1) * 2 / sides - 1).float()


@dataclass(frozen=True, slots=True, eq=False)
class Deferred:
    """A batch that is augmented once it is on its device; else used like a `TensorBatch`.

    Attributes:
        batch: The batch with unchanged images.
        changes: One per slice.
    """

    batch: Any
    changes: Changes

    @property
    def index(self) -> Tensor:
        """int64 (n,), position of each slice in the data set."""
        return self.batch.index

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.batch)

    def pin_memory(self) -> Deferred:
        """The same in page-locked memory."""
        return Deferred(self.batch.pin_memory(), self.changes.pin_memory())

    def to(self, device: str | torch.device, *, non_blocking: bool = False) -> Any:  # noqa: ANN401
        """The augmented batch on a device."""
        batch = self.batch.to(device, non_blocking=non_blocking)
        changes = self.changes.to(device, non_blocking=non_blocking)
        return replace(batch, images=changes.applied(batch.images))


def deferred(batch: BatchKind, draws: Sequence[Augmentation]) -> BatchKind:
    """Put off the augmentation of a batch's images until it is moved to a device.

    Args:
        batch: Has `images`, uint8 (n, h, w) or (n, 3, h, w); its other fields do not change.
        draws: One per slice.
    """
    height, width = cast(Any, batch).images.shape[-2:]
    return cast(BatchKind, Deferred(batch, Changes.of(draws, width, height)))


def _source_map(draw: Augmentation, width: int, height: int) -> np.ndarray[Any, Any]:
    """Inverse of the drawn movement, the flip included, float64 (2, 3)."""
    matrix = np.vstack([pixel_matrix(draw, width, height), [0.0, 0.0, 1.0]])
    source = np.linalg.inv(matrix)[:2]
    if draw.flip:
        source[0] = [0.0, 0.0, width - 1.0] - source[0]
    return source
