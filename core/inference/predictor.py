"""Networks over a whole series: from a CT volume to presence and fracture probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.constants import N_VERTEBRAE
from core.errors import BundleError, DeviceError
from core.inference.aggregation import check_slice_predictions
from core.inference.device import pick_device
from core.models.bundles import BundleInfo
from core.models.checkpoint import load_model
from core.preprocessing.network_input import slices_for_network
from core.types import CTVolume, SlicePredictions

Progress = Callable[[int, int], None]

_OUTPUTS: Final[dict[tuple[str, int], int]] = {("vertebra", 1): N_VERTEBRAE, ("fracture", 1): 1}
"""Logits a slice of each task and type that can be run here."""


class Predictor:
    """A vertebra and a fracture network, loaded once, run over any number of series.

    Args:
        vertebra: Bundle of a vertebra detection model.
        fracture: Bundle of a fracture detection model.
        device: As `pick_device` takes it.
        batch_size: Slices in one pass, >= 1.
        bfloat16: Run the networks in bfloat16 where they allow it; faster on recent hardware,
            probabilities then differ in the third decimal.

    Raises:
        BundleError: A bundle is of the other task, of a type that cannot be run yet, or broken.
        DeviceError: The device is not there.
        ValueError: `batch_size` is below 1.
    """

    def __init__(
        self,
        vertebra: BundleInfo,
        fracture: BundleInfo,
        *,
        device: str = "auto",
        batch_size: int = 32,
        bfloat16: bool = False,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"A batch holds at least one slice, but batch_size is {batch_size}.")
        _check_role(vertebra, "vertebra")
        _check_role(fracture, "fracture")
        self.device = pick_device(device)
        self._vertebra, self._fracture = vertebra, fracture
        self._vertebra_model = load_model(vertebra, self.device)
        self._fracture_model = load_model(fracture, self.device)
        self._batch_size = batch_size
        self._bfloat16 = bfloat16

    def predict(self, volume: CTVolume, *, progress: Progress | None = None) -> SlicePredictions:
        """Run both networks over every slice.

        Args:
            volume: int16 HU, (z, y, x); slice 0 the most cranial.
            progress: Called after each batch with slices done and slices in all.

        Returns:
            float32 probabilities (n_slices, 7); a Type 1 fracture model repeats its one value.

        Raises:
            BundleError: A network gives NaN, infinity or another number of outputs.
            DeviceError: The device's memory is too small for a batch.
            PredictionsError: The volume has no slice.
        """
        n_slices = volume.n_slices
        presence = np.empty((n_slices, N_VERTEBRAE), dtype=np.float32)
        fracture = np.empty((n_slices, N_VERTEBRAE), dtype=np.float32)
        for start in range(0, n_slices, self._batch_size):
            batch = slice(start, min(start + self._batch_size, n_slices))
            presence[batch], fracture[batch] = self._probabilities(volume.hu[batch])
            if progress is not None:
                progress(batch.stop, n_slices)
        predictions = SlicePredictions(
            study_id=volume.study_uid,
            z_mm=volume.z_mm,
            vertebra_probs=presence,
            fracture_probs=fracture,
            fracture_type=self._fracture.config.type,
            instance_numbers=volume.instance_numbers,
            models=(self._vertebra.config.name, self._fracture.config.name),
        )
        check_slice_predictions(predictions)
        return predictions

    def _probabilities(
        self, hu: NDArray[np.int16]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return v (n, 7) and f (n, 7), or (n, 1) where the seven share it, of HU (n, h, w)."""
        vertebra_input = _prepared(hu, self._vertebra)
        if _same_input(self._vertebra, self._fracture):
            fracture_input = vertebra_input
        else:
            fracture_input = _prepared(hu, self._fracture)
        return (
            self._run(self._vertebra_model, self._vertebra, vertebra_input),
            self._run(self._fracture_model, self._fracture, fracture_input),
        )

    def _run(self, model: nn.Module, bundle: BundleInfo, images: Tensor) -> NDArray[np.float32]:
        """Return probabilities, float32 (n, outputs), of images uint8 (n, size, size)."""
        family = self.device.partition(":")[0]
        try:
            with (
                torch.inference_mode(),
                torch.autocast(family, dtype=torch.bfloat16, enabled=self._bfloat16),
            ):
                logits: Tensor = model(images.to(self.device)).float().cpu()
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{self.device} has too little free memory for {len(images)} slices of "
                f"{bundle.config.name}; lower the batch size or choose cpu."
            ) from error
        config = bundle.config
        expected = (len(images), _OUTPUTS[config.task, config.type])
        if tuple(logits.shape) != expected:
            raise BundleError(
                f"Bundle {config.name} gives outputs of shape {tuple(logits.shape)} instead of "
                f"{expected}; train the bundle anew."
            )
        if not bool(torch.isfinite(logits).all()):
            raise BundleError(
                f"Bundle {config.name} gives NaN or infinite outputs; train the bundle anew."
            )
        return torch.sigmoid(logits).numpy()


def _check_role(bundle: BundleInfo, task: str) -> None:
    config = bundle.config
    if config.task != task:
        raise BundleError(
            f"Bundle {config.name} detects {config.task}, but a {task} bundle is needed here; "
            "choose another bundle."
        )
    if (config.task, config.type) not in _OUTPUTS:
        available = ", ".join(str(number) for name, number in _OUTPUTS if name == task)
        raise BundleError(
            f"Bundle {config.name} is of Type {config.type}, which cannot be run yet; choose a "
            f"{task} bundle of Type {available}."
        )


def _same_input(one: BundleInfo, other: BundleInfo) -> bool:
    return (one.config.window, one.config.crop, one.config.size) == (
        other.config.window,
        other.config.crop,
        other.config.size,
    )


def _prepared(hu: NDArray[np.int16], bundle: BundleInfo) -> Tensor:
    """Return what the bundle's network takes, uint8 (n, size, size), on the CPU."""
    config = bundle.config
    return torch.from_numpy(
        slices_for_network(hu, window=config.window, crop=config.crop, size=config.size)
    )
