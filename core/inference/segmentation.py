"""Segmenter inference: from a CT volume to labels of vertebrae, their presence and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.errors import BundleError, DeviceError, PredictionsError
from core.inference.device import pick_device
from core.inference.vertebra_order import in_order
from core.models.bundles import BundleInfo
from core.models.segmenter import N_CLASSES, load_segmenter
from core.models.tracing import TURNS
from core.preprocessing.spine_grid import SpineGrid, spine_grid_of
from core.types import CTVolume

FEW_VOXELS: Final = 4
"""v_ij is the mean of so many voxels with the highest probabilities: one alone may be noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Labels of one study, on the grid and on demand on its slices.

    Attributes:
        grid: Place of the grid in the series.
        probs: float32 (9, z, y, x) in order: background, C1..C7, other vertebra; a class is 0 where
            it was removed.
    """

    grid: SpineGrid
    probs: NDArray[np.float32]

    @property
    def grid_labels(self) -> NDArray[np.uint8]:
        """uint8 (z, y, x) of the grid."""
        return self.probs.argmax(axis=0).astype(np.uint8)

    def slice_labels(self, index: int) -> NDArray[np.uint8]:
        """Labels of a slice: uint8 (rows, columns), 1..7 C1..C7, 8 a vertebra below."""
        return self.grid.slice_labels(self.probs, index)

    def volume_labels(self) -> NDArray[np.uint8]:
        """Labels of all slices, uint8 (n_slices, rows, columns)."""
        return self.grid.volume_labels(self.probs)

    def presence(self) -> NDArray[np.float32]:
        """v_ij: float32 (n_slices, 7), how probably slice i shows vertebra C(j+1)."""
        return self.grid.on_slices(_highest(self.probs[1 : N_VERTEBRAE + 1]))

    def middles_mm(self) -> dict[int, float]:
        """Mean height of each of C1..C7 that was found, by label, in the units of `z_mm`."""
        labels, heights = self.grid_labels, self.grid.planes_mm
        counts = {j: (labels == j).sum(axis=(1, 2)) for j in range(1, N_VERTEBRAE + 1)}
        return {
            j: float((count * heights).sum() / count.sum())
            for j, count in counts.items()
            if count.any()
        }


class SegmentationPredictor:
    """A segmenter, loaded once, run over any number of series.

    Args:
        bundle: A segmentation bundle.
        device: As for `pick_device`.

    Raises:
        BundleError: The bundle is invalid or not a segmenter.
        DeviceError: The device is not available.
    """

    def __init__(self, bundle: BundleInfo, *, device: str = "auto") -> None:
        self.bundle = bundle
        self.device = pick_device(device)
        self._model = load_segmenter(bundle, self.device)

    def segment(self, volume: CTVolume) -> Segmentation:
        """Label the vertebrae of a series.

        Args:
            volume: int16 HU, (z, y, x); slice 0 the most cranial.

        Raises:
            BundleError: The network gives NaN or infinity.
            DeviceError: The device's memory is too small for the series.
            PredictionsError: The volume has no slice.
        """
        if not volume.n_slices:
            raise PredictionsError(f"Study {volume.study_uid} has no slice; segment it again.")
        grid, image = spine_grid_of(volume, self.bundle.config.preparation)
        return Segmentation(grid, in_order(self._probabilities(image)))

    def _probabilities(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 (9, z, y, x) on the CPU, from the mean scores of the grid and its mirror image.

        Left and right are interchangeable. The mirror image raised the mean Dice coefficient by
        0.01 on 13 studies held out in training, and by 0.001 on 80 fresh ones.
        """
        name = self.bundle.config.name
        try:
            with TURNS.running(), torch.inference_mode():
                grids = torch.from_numpy(image)[None].to(self.device)
                scores = self._model(grids)[0] + self._model(grids.flip(-1))[0].flip(-1)
                probs = (scores.float() / 2).softmax(dim=0).cpu()
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"The memory of {self.device} is too small for {name}; choose the device cpu."
            ) from error
        if len(probs) != N_CLASSES or not bool(torch.isfinite(probs).all()):
            raise BundleError(
                f"Bundle {name} gives NaN or infinite outputs; train the bundle again."
            )
        return probs.numpy()


def _highest(probs: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Mean of the few highest voxels of each plane, float32 (z, classes)."""
    flat = probs.reshape(*probs.shape[:2], -1)
    top = np.partition(flat, -FEW_VOXELS, axis=2)[..., -FEW_VOXELS:]
    return top.mean(axis=2).T.astype(np.float32)
