"""Grids of many studies behind one index, and their random changes in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.prepared.batch import TensorBatch
from core.prepared.study_grids import StudyGrid
from core.preprocessing.grid_augmentation import augment_grid

NO_LABEL: Final = 255
"""Label of voxels that fill a batch of grids of different lengths."""


@dataclass(frozen=True, slots=True, eq=False)
class GridBatch(TensorBatch):
    """Some grids, filled to the longest of them.

    Attributes:
        images: uint8 (n, z, y, x).
        labels: uint8 (n, z, y, x); `NO_LABEL` below the end of a grid.
        index: int64 (n,), position in the data set.
    """

    images: Tensor
    labels: Tensor
    index: Tensor


class GridDataset:
    """Studies with masks, one grid each.

    Args:
        studies: The studies, of one size.

    Attributes:
        studies: The same.
    """

    def __init__(self, studies: Sequence[StudyGrid]) -> None:
        self.studies = tuple(studies)

    def __len__(self) -> int:
        """Number of grids."""
        return len(self.studies)

    @property
    def study_ids(self) -> tuple[str, ...]:
        """The studies."""
        return tuple(study.study_id for study in self.studies)


@dataclass(frozen=True, slots=True, eq=False)
class AugmentedGrids:
    """A data set of which every grid is changed, as `Batches` asks for batches.

    Attributes:
        dataset: The grids.
        seed: Of the changes; None leaves the grids as they are.
    """

    dataset: GridDataset
    seed: tuple[int, ...] | None = None

    def batch(
        self, rows: NDArray[np.int64], changes: None = None, *, defer: bool = False
    ) -> GridBatch:
        """Collect some grids; what one is changed by depends on the seed and its index alone.

        Args:
            rows: int64 (n,), indices into the data set.
            changes: Ignored: the changes are drawn here.
            defer: Ignored: grids are changed here.
        """
        del changes, defer
        images: list[NDArray[np.uint8]] = []
        labels: list[NDArray[np.uint8]] = []
        for row in rows.tolist():
            study = self.dataset.studies[row]
            image, truth = np.asarray(study.image), np.asarray(study.labels)
            if self.seed is not None:
                image, truth = augment_grid(image, truth, np.random.default_rng((*self.seed, row)))
            images.append(image)
            labels.append(truth)
        return GridBatch(
            torch.from_numpy(_filled(images, 0)),
            torch.from_numpy(_filled(labels, NO_LABEL)),
            torch.from_numpy(rows.copy()),
        )


def _filled(grids: Sequence[NDArray[np.uint8]], value: int) -> NDArray[np.uint8]:
    """Stack grids of one plane size, the shorter ones filled below with `value`."""
    longest = max(len(grid) for grid in grids)
    stacked = np.full((len(grids), longest, *grids[0].shape[1:]), value, np.uint8)
    for target, grid in zip(stacked, grids, strict=True):
        target[: len(grid)] = grid
    return stacked
