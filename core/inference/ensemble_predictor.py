"""The networks of an ensemble over a study, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.errors import BundleError
from core.inference.aggregation import check_slice_predictions
from core.inference.ensemble import combination_of, combine_predictions
from core.inference.study_predictor import StudyPrediction, StudyPredictor
from core.models.bundles import EnsembleConfig
from core.models.pairs import BundlePair
from core.types import CTVolume, FileBox, Progress, RawDetections, SlicePredictions


class EnsemblePredictor(StudyPredictor):
    """Members loaded once, run over any number of series, and combined as the bundle says.

    Args:
        pair: A vertebra network and the ensemble.
        members: Networks of each member, in the order of the recipe.
        predictors: Their predictors.

    Raises:
        BundleError: The pair's fracture bundle is no ensemble.
    """

    def __init__(
        self, pair: BundlePair, members: Sequence[BundlePair], predictors: Sequence[StudyPredictor]
    ) -> None:
        config = pair.fracture.config
        if not isinstance(config, EnsembleConfig):
            raise BundleError(f"{config.name} is not an ensemble; load it as a network.")
        self._combination = combination_of(config.ensemble)
        self._names = tuple(bundle.config.name for bundle in pair.bundles)
        self._predictors = tuple(predictors)
        self._by_boxes = [one.fracture.config.gives_boxes for one in members]
        # The distribution score is one of the pair's vertebra network.
        self._seeing = [one.vertebra == pair.vertebra for one in members]

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
        """As `StudyPredictor.predict_with_boxes`; the boxes are those of the first localiser."""
        found: list[StudyPrediction] = []
        for number, predictor in enumerate(self._predictors):
            # Boxes of one localiser are no boxes of another.
            first = self._by_boxes[number] and not any(self._by_boxes[:number])
            count = None if progress is None else self._count(number, volume.n_slices, progress)
            found.append(
                predictor.predict_with_boxes(volume, raw=raw if first else None, progress=count)
            )
        members = [one.predictions for one in found]
        scores = [
            one.distribution_score for one, own in zip(members, self._seeing, strict=True) if own
        ]
        predictions = replace(
            combine_predictions(members, self._combination, tuple(dict.fromkeys(self._names))),
            distribution_score=next(iter(scores), None),
        )
        check_slice_predictions(predictions)
        boxes = (one.raw for one in found if one.raw is not None)
        return StudyPrediction(predictions, next(boxes, None))

    def boxes_of(self, prediction: StudyPrediction, volume: CTVolume) -> tuple[FileBox, ...]:
        """As `StudyPredictor.boxes_of`; none without a localiser among the members."""
        if True not in self._by_boxes:
            return ()
        return self._predictors[self._by_boxes.index(True)].boxes_of(prediction, volume)

    def _count(self, number: int, n_slices: int, progress: Progress) -> Progress:
        """Each member's pass over the slices counts alike."""
        parts = len(self._predictors)

        def inner(done: int, _: int) -> None:
            progress((number * n_slices + done) // parts, n_slices)

        return inner
