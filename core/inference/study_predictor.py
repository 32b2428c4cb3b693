"""Networks that predict a study together, as seen from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.inference.distribution import LevelFeatures
from core.types import CTVolume, FileBox, Progress, RawDetections, SlicePredictions


@dataclass(frozen=True, slots=True, eq=False)
class SeenLevels:
    """What a vertebra network sees in a study.

    Attributes:
        presence: float32 (n_slices, 7), v_ij.
        features: Mean features of each level; None where they were not gathered.
        distribution_score: As in `SlicePredictions`.
    """

    presence: NDArray[np.float32]
    features: LevelFeatures | None
    distribution_score: float | None


@dataclass(frozen=True, slots=True, eq=False)
class StudyPrediction:
    """The prediction of one study.

    Attributes:
        predictions: Probabilities of its slices.
        raw: The localiser's boxes before fusion that they are based on; None without a localiser.
    """

    predictions: SlicePredictions
    raw: RawDetections | None = None


class StudyPredictor(ABC):
    """Networks that predict a study together."""

    @abstractmethod
    def predict(self, volume: CTVolume, *, progress: Progress | None = None) -> SlicePredictions:
        """Run the networks over every slice.

        Args:
            volume: int16 HU, (z, y, x); slice 0 the most cranial.
            progress: Called after each batch with slices done and the total.

        Returns:
            float32 probabilities (n_slices, 7); a Type 1 fracture model repeats its single value.

        Raises:
            BundleError: A network gives NaN, infinity or another number of outputs.
            DeviceError: The device's memory is too small for one slice.
            PredictionsError: The volume has no slice.
            ValueError: There is no fracture bundle.
        """

    def predict_with_boxes(
        self,
        volume: CTVolume,
        *,
        raw: RawDetections | None = None,
        progress: Progress | None = None,
    ) -> StudyPrediction:
        """As `predict`, with the boxes that the probabilities are based on.

        Args:
            volume: As for `predict`.
            raw: The localiser's boxes of the study if it has run before; ignored without a
                localiser.
            progress: As for `predict`.

        Raises:
            BundleError, DeviceError, PredictionsError: As for `predict`.
        """
        del raw
        return StudyPrediction(self.predict(volume, progress=progress))

    def boxes_of(self, prediction: StudyPrediction, volume: CTVolume) -> tuple[FileBox, ...]:
        """The fused boxes at or above the localiser's operating point; none without a localiser."""
        del prediction, volume
        return ()
