"""A vertebra network and a localiser that predict a study together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from core.constants import BOXES_TYPE, N_VERTEBRAE
from core.errors import BundleError
from core.inference.aggregation import check_slice_predictions
from core.inference.boxes.evidence import box_outputs
from core.inference.boxes.predictor import BoxPredictor
from core.inference.ensemble_predictor import EnsemblePredictor
from core.inference.predictor import Predictor
from core.inference.study_predictor import StudyPrediction, StudyPredictor
from core.models.bundles import BundleInfo, EnsembleConfig
from core.models.ensembles import read_members
from core.models.pairs import BundlePair
from core.types import CTVolume, FileBox, Progress, RawDetections, SlicePredictions


class BoxEvidencePredictor(StudyPredictor):
    """Presence by a vertebra network, fractures by a localiser's boxes; loaded once.

    Args:
        vertebra: Bundle that gives presence and the distribution score.
        localizer: Localisation bundle with weights for its boxes.
        segmenter: As for `Predictor`.
        device: As for `pick_device`.
        batch_size: Slices in one pass of the vertebra network, >= 1.

    Raises:
        BundleError: A bundle is invalid or not of the kind needed.
        DeviceError: The device is not available.
    """

    def __init__(
        self, vertebra: BundleInfo, localizer: BundleInfo, *,
        segmenter: BundleInfo | None = None, device: str = "auto", batch_size: int = 32,
    ) -> None:  # fmt: skip
        weights = localizer.config.box_weights
        if not localizer.config.gives_boxes or weights is None:
            raise BundleError(
                f"Bundle {localizer.config.name} is not a localiser with box weights, so it cannot "
                "predict fractures; choose another bundle."
            )
        self._weights = weights
        self._presence = Predictor(
            vertebra, None, segmenter=segmenter, device=device, batch_size=batch_size
        )
        self._boxes = BoxPredictor([localizer], device=device)

    def predict(self, volume: CTVolume, *, progress: Progress | None = None) -> SlicePredictions:
        """As `StudyPredictor.predict`."""
        return self.predict_with_boxes(volume, progress=progress).predictions

    def predict_with_boxes(
        self,
        volume: CTVolume,
        *,
        raw: RawDetections | None = None,
        progress: Progress | None = None,
    ) -> StudyPrediction:
        """As `StudyPredictor.predict_with_boxes`."""
        parts = 1 if raw is not None else 2
        n_slices = volume.n_slices

        def count(part: int) -> Progress:
            # Both networks pass over all slices; each pass counts half.
            def inner(done: int, _: int) -> None:
                if progress is not None:
                    progress((part * n_slices + done) // parts, n_slices)

            return inner

        levels = self._presence.see(volume, progress=count(0))
        if raw is None:
            raw = self._boxes.predict(volume, progress=count(1))
        elif raw.study_id != volume.study_uid:
            # A folder's name may differ from its StudyInstanceUID; the series is the same.
            raw = replace(raw, study_id=volume.study_uid)
        seen = SlicePredictions(
            study_id=raw.study_id,
            z_mm=volume.z_mm,
            vertebra_probs=levels.presence,
            fracture_probs=np.zeros((n_slices, N_VERTEBRAE), np.float32),
            fracture_type=BOXES_TYPE,
            instance_numbers=volume.slice_instance_numbers,
            models=self._presence.names,
            distribution_score=levels.distribution_score,
        )
        predictions = replace(
            box_outputs(raw, seen, self._weights), models=(*seen.models, *raw.models)
        )
        check_slice_predictions(predictions)
        return StudyPrediction(predictions, raw)

    def boxes_of(self, prediction: StudyPrediction, volume: CTVolume) -> tuple[FileBox, ...]:
        """As `StudyPredictor.boxes_of`."""
        return () if prediction.raw is None else self._boxes.boxes_of(prediction.raw, volume)


def load_predictor(
    pair: BundlePair,
    *,
    device: str = "auto",
    batch_size: int = 32,
    onnx_folder: Path | None = None,
) -> StudyPredictor:
    """Load the networks of a pair, according to the kind of its fracture bundle.

    Without a segmenter, a member of an ensemble that scores presence itself keeps its own v_ij, as
    it was measured; the others take those of the pair's vertebra network.

    Args:
        pair: The networks.
        device: As for `Predictor`, like the others.
        batch_size: Slices in one pass.
        onnx_folder: For fracture networks; a localiser always runs in torch.

    Raises:
        BundleError: As the predictors raise it, or a member of an ensemble is missing or changed.
        ConfigError, DeviceError: As the predictors raise it.
    """
    if isinstance(pair.fracture.config, EnsembleConfig):
        members = [
            pair._replace(
                vertebra=one if one.config.gives_presence else pair.vertebra, fracture=one
            )
            for one in read_members(pair.fracture)
        ]
        load = partial(
            load_predictor, device=device, batch_size=batch_size, onnx_folder=onnx_folder
        )
        return EnsemblePredictor(pair, members, [load(one) for one in members])
    if pair.fracture.config.gives_boxes:
        return BoxEvidencePredictor(
            pair.vertebra, pair.fracture, segmenter=pair.segmenter, device=device,
            batch_size=batch_size,
        )  # fmt: skip
    return Predictor(
        pair.vertebra, pair.fracture, segmenter=pair.segmenter, device=device,
        batch_size=batch_size, onnx_folder=onnx_folder,
    )  # fmt: skip
