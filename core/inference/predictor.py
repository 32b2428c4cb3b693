"""Slice network inference: from a CT volume to presence and fracture probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.constants import N_VERTEBRAE
from core.errors import BundleError, PredictionsError
from core.inference.aggregation import check_slice_predictions
from core.inference.along_study import Probabilities, along_the_study
from core.inference.device import pick_device, smaller_batch
from core.inference.distribution import LevelFeatures, level_features, study_distance
from core.inference.segmentation import SegmentationPredictor
from core.inference.slice_inputs import prepared_batch
from core.inference.study_predictor import SeenLevels, StudyPredictor
from core.models.abstention import load_statistics
from core.models.bundles import BundleInfo
from core.models.fast_model import load_fast_model
from core.models.feature_tap import FeatureTap
from core.models.slice_model import SliceModel
from core.models.tracing import TURNS
from core.preprocessing.metadata import slice_metadata
from core.preprocessing.spine_field import SpineField, spine_field_of
from core.types import CTVolume, Progress, SlicePredictions

if TYPE_CHECKING:
    from core.models.onnx_model import OnnxModel

_OUTPUTS: Final[dict[tuple[str, int], int]] = {
    ("vertebra", 1): N_VERTEBRAE,
    ("vertebra", 2): N_VERTEBRAE,
    ("fracture", 1): 1,
    ("fracture", 2): N_VERTEBRAE,
    ("fracture", 3): 2 * N_VERTEBRAE,
}
"""Logits per slice by task and type."""


class Predictor(StudyPredictor):
    """Slice networks that predict a study together, loaded once, run over any number of series.

    Presence v_ij comes from `vertebra`: a vertebra bundle of either type, or a fracture bundle of
    Type 3, which scores presence itself. Given twice, a Type 3 bundle runs once and gives both;
    with a vertebra bundle, its own v_ij are not used. With a segmenter, v_ij come from its labels,
    and `vertebra` gives the distribution score alone.

    Args:
        vertebra: Bundle that predicts presence.
        fracture: Bundle of a fracture detection model; None to predict presence only.
        segmenter: Segmentation bundle; None for none.
        device: As for `pick_device`.
        batch_size: Slices in one pass, >= 1.
        bfloat16: Compute the backbones in bfloat16; probabilities then differ by about 0.001 on
            average, AUCs by less than 0.001. None: if the device does so in hardware.
        onnx_folder: Where exported networks are kept, for ONNX Runtime to compute a fracture
            network of its own in float32; None: torch computes it. The network that gives the
            presence stays in torch, as its features are needed too.

    Raises:
        BundleError: A bundle is invalid or not of the kind needed.
        ConfigError: `onnx_folder` is given and the device is not the CPU.
        DeviceError: The device is not available.
        ValueError: `batch_size` is below 1.
    """

    def __init__(
        self,
        vertebra: BundleInfo,
        fracture: BundleInfo | None,
        *,
        segmenter: BundleInfo | None = None,
        device: str = "auto",
        batch_size: int = 32,
        bfloat16: bool | None = None,
        onnx_folder: Path | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"A batch holds at least one slice, but batch_size is {batch_size}.")
        _check_roles(vertebra, fracture)
        self.device = pick_device(device)
        self._segmenter = (
            None if segmenter is None else SegmentationPredictor(segmenter, device=device)
        )
        self._has_fracture = fracture is not None
        fracture = fracture or vertebra
        self._vertebra, self._fracture = vertebra, fracture
        self._vertebra_model = load_fast_model(vertebra, self.device, bfloat16=bfloat16)
        self._fracture_model: SliceModel | OnnxModel = self._vertebra_model
        if not _same_network(vertebra, fracture):
            self._fracture_model = (
                load_fast_model(fracture, self.device, bfloat16=bfloat16)
                if onnx_folder is None
                else _in_onnx(fracture, onnx_folder, self.device)
            )
        self._batch_size = batch_size
        self._reference = vertebra.reference
        self._statistics = (
            None if self._reference is None else load_statistics(vertebra.folder, self._reference)
        )

    def predict(self, volume: CTVolume, *, progress: Progress | None = None) -> SlicePredictions:
        """As `StudyPredictor.predict`."""
        if not self._has_fracture:
            raise ValueError("Without a fracture bundle, only presence can be predicted.")
        n_slices = volume.n_slices
        seen = np.empty((n_slices, N_VERTEBRAE), dtype=np.float32)
        fracture = np.empty((n_slices, N_VERTEBRAE), dtype=np.float32)
        labelled = self._labelled(volume)
        metadata = torch.from_numpy(slice_metadata(volume.z_mm, volume.slice_thickness_mm))
        with self._tapped() as tap:
            for batch, inputs in self._batches(volume):
                given = None if labelled is None else torch.from_numpy(labelled[batch])
                seen[batch], fracture[batch] = self._probabilities(
                    *inputs, metadata[batch], tap, given
                )
                if progress is not None:
                    progress(batch.stop, n_slices)
        levels = None
        if tap is not None and n_slices:
            levels = level_features(tap.features(), seen)
        presence = seen if labelled is None else labelled
        fracture = along_the_study(self._fracture.config, fracture, presence)
        predictions = SlicePredictions(
            study_id=volume.study_uid,
            z_mm=volume.z_mm,
            vertebra_probs=presence,
            fracture_probs=fracture,
            fracture_type=self._fracture.config.type,
            instance_numbers=volume.slice_instance_numbers,
            models=tuple(dict.fromkeys((*self.names, self._fracture.config.name))),
            distribution_score=self._score_of(levels),
        )
        check_slice_predictions(predictions)
        return predictions

    def see(
        self, volume: CTVolume, *, features: bool = False, progress: Progress | None = None
    ) -> SeenLevels:
        """Run only the vertebra network over every slice, and the segmenter if there is one.

        Args:
            volume: As for `predict`.
            features: Whether the levels' features are wanted; otherwise they are gathered only for
                a distribution score.
            progress: As for `predict`.

        Raises:
            BundleError, DeviceError, PredictionsError: As for `predict`.
        """
        if not volume.n_slices:
            raise PredictionsError(f"Study {volume.study_uid} has no slice; predict it again.")
        labelled = self._labelled(volume)
        presence = np.empty((volume.n_slices, N_VERTEBRAE), dtype=np.float32)
        metadata = torch.from_numpy(slice_metadata(volume.z_mm, volume.slice_thickness_mm))
        with self._tapped(always=features) as tap:
            for batch, (images, _) in self._batches(volume):
                outputs = self._run(
                    self._vertebra_model, self._vertebra, images, metadata[batch], tap=tap
                )
                presence[batch] = outputs[:, -N_VERTEBRAE:].numpy()
                if progress is not None:
                    progress(batch.stop, volume.n_slices)
        levels = None if tap is None else level_features(tap.features(), presence)
        seen = presence if labelled is None else labelled
        return SeenLevels(seen, levels, self._score_of(levels))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the networks that `see` runs, that of the presence first."""
        labels = () if self._segmenter is None else (self._segmenter.bundle.config.name,)
        return (*labels, self._vertebra.config.name)

    def _labelled(self, volume: CTVolume) -> Probabilities | None:
        """v_ij from the segmenter's labels; None without one or without a slice."""
        if self._segmenter is None or not volume.n_slices:
            return None
        return self._segmenter.segment(volume).presence()

    def _tapped(self, *, always: bool = False) -> AbstractContextManager[FeatureTap | None]:
        """Take the vertebra network's features while it runs; None where nothing needs them."""
        if self._reference is None and not always:
            return nullcontext()
        return FeatureTap(self._vertebra_model)

    def _score_of(self, levels: LevelFeatures | None) -> float | None:
        """Distance in units of the reference's limit; None without reference or levels."""
        if levels is None or self._reference is None or self._statistics is None:
            return None
        distance = study_distance(levels, self._statistics)
        return None if distance is None else distance / self._reference.distance

    def _batches(self, volume: CTVolume) -> Iterator[tuple[slice, tuple[Tensor, Tensor]]]:
        """Yield both networks' images in slice order; the next batch is prepared in a thread."""
        hu = volume.hu
        starts = range(0, len(hu), self._batch_size)
        batches = [slice(start, min(start + self._batch_size, len(hu))) for start in starts]
        if not batches:
            return
        sides = {bundle.config.preparation.field_mm for bundle in (self._vertebra, self._fracture)}
        fields = {side: spine_field_of(volume, side) for side in sides}
        with ThreadPoolExecutor(max_workers=1) as pool:
            coming = pool.submit(self._prepare, hu, batches[0], fields)
            for batch, following in zip(batches, [*batches[1:], None], strict=True):
                inputs = coming.result()
                if following is not None:
                    coming = pool.submit(self._prepare, hu, following, fields)
                yield batch, inputs

    def _prepare(
        self, hu: NDArray[np.int16], batch: slice, fields: Mapping[float | None, SpineField | None]
    ) -> tuple[Tensor, Tensor]:
        """Return the vertebra and the fracture network's images; one tensor if they are equal."""
        for_vertebra = prepared_batch(hu, batch, self._vertebra, fields)
        if self._vertebra.config.preparation == self._fracture.config.preparation:
            return for_vertebra, for_vertebra
        return for_vertebra, prepared_batch(hu, batch, self._fracture, fields)

    def _probabilities(
        self, for_vertebra: Tensor, for_fracture: Tensor, metadata: Tensor, tap: FeatureTap | None,
        given: Tensor | None,
    ) -> tuple[Probabilities, Probabilities]:  # fmt: skip
        """Return v (n, 7) and f (n, 7), or (n, 1) for Type 1; `given` is the presence for f."""
        outputs = self._run(self._vertebra_model, self._vertebra, for_vertebra, metadata, tap=tap)
        # A Type 3 model gives seven f_ij, then seven v_ij.
        presence = outputs[:, -N_VERTEBRAE:]
        if self._vertebra_model is not self._fracture_model:
            outputs = self._run(
                self._fracture_model, self._fracture, for_fracture, metadata,
                presence if given is None else given,
            )  # fmt: skip
        return presence.numpy(), outputs[:, :N_VERTEBRAE].numpy()

    def _run(
        self,
        model: SliceModel | OnnxModel,
        bundle: BundleInfo,
        images: Tensor,
        metadata: Tensor,
        presence: Tensor | None = None,
        tap: FeatureTap | None = None,
    ) -> Tensor:
        """Return probabilities, float32 (n, outputs), on the CPU; a tap keeps the features."""
        done: list[Tensor] = []
        start = 0
        while start < len(images):
            part = slice(start, min(start + self._batch_size, len(images)))
            try:
                with TURNS.running(), torch.inference_mode():
                    outputs = model(
                        self._on_device(images, part),
                        self._on_device(metadata, part),
                        None if presence is None else self._on_device(presence, part),
                    )
                    done.append(outputs.float().cpu())
            except torch.OutOfMemoryError as error:
                self._batch_size = smaller_batch(
                    part.stop - part.start, self.device, bundle.config.name, error
                )
                continue
            if tap is not None:
                tap.keep()
            start = part.stop
        logits = torch.cat(done)
        config = bundle.config
        expected = (len(images), _OUTPUTS[config.task, config.type])
        if tuple(logits.shape) != expected:
            raise BundleError(
                f"Bundle {config.name} gives outputs of shape {tuple(logits.shape)} instead of "
                f"{expected}; train the bundle again."
            )
        if not bool(torch.isfinite(logits).all()):
            raise BundleError(
                f"Bundle {config.name} gives NaN or infinite outputs; train the bundle again."
            )
        return torch.sigmoid(logits)

    def _on_device(self, tensor: Tensor, part: slice) -> Tensor:
        """The values of some slices, on the device; a whole tensor is not sliced."""
        return (tensor if part == slice(0, len(tensor)) else tensor[part]).to(self.device)


def _in_onnx(bundle: BundleInfo, folder: Path, device: str) -> OnnxModel:
    # The exporter and its runtime are loaded only where they are asked for.
    from core.inference.onnx_networks import onnx_network

    return onnx_network(bundle, folder, device)


def _check_roles(vertebra: BundleInfo, fracture: BundleInfo | None) -> None:
    if not vertebra.config.gives_presence:
        raise BundleError(
            f"Bundle {vertebra.config.name} scores no vertebra presence; choose a vertebra bundle, "
            "or a fracture bundle of Type 3."
        )
    if fracture is not None and fracture.config.task != "fracture":
        raise BundleError(
            f"Bundle {fracture.config.name} detects {fracture.config.task}, but a fracture bundle "
            "is needed here; choose another bundle."
        )


def _same_network(one: BundleInfo, other: BundleInfo) -> bool:
    return (one.folder, one.config) == (other.folder, other.config)
