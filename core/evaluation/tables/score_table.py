"""One model's scores at slice, vertebra and patient level, as arrays."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import PredictionsError
from core.evaluation.arrays import frozen, offsets_of, rows_of_studies
from core.inference.aggregation import (
    Pooling,
    check_outputs,
    patient_scores,
    slice_scores,
    vertebra_scores,
)
from core.types import SlicePredictions

NO_FOLD: Final = -1
"""Fold of a study outside any cross-validation, or of unknown fold."""
NO_SLICES: Final = "its scores were given for patients and vertebrae, not for slices"


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Scores of n studies with N slices in all; studies are sorted by their id.

    All arrays are read-only. `presence`, `fracture` and `slice_scores` are None for a model that
    was imported without slices; then `pooling` is None too.

    Attributes:
        name: Name of the model on pages and in reports.
        study_ids: str (n,), sorted, each once.
        offsets: int64 (n + 1,); the slices of study k are rows `offsets[k]:offsets[k + 1]`.
        fold: int16 (n,), -1 where unknown.
        vertebra_scores: float64 (n, 7), p_j for C1..C7.
        patient_scores: float64 (n,), p.
        presence: float32 (N, 7), v_ij, slice 0 of each study the most cranial.
        fracture: float32 (N, 7), f_ij; (N, 1) for a Type 1 model.
        slice_scores: float64 (N,), p_i.
        fracture_type: 1, 2, 3, or 4 for boxes; None without slices.
        pooling: How p_j was pooled over slices.
    """

    name: str
    study_ids: NDArray[np.str_]
    offsets: NDArray[np.int64]
    fold: NDArray[np.int16]
    vertebra_scores: NDArray[np.float64]
    patient_scores: NDArray[np.float64]
    presence: NDArray[np.float32] | None = None
    fracture: NDArray[np.float32] | None = None
    slice_scores: NDArray[np.float64] | None = None
    fracture_type: int | None = None
    pooling: Pooling | None = None

    @property
    def n_studies(self) -> int:
        """Number of studies."""
        return len(self.study_ids)

    @property
    def n_slices(self) -> int:
        """Number of slices of all studies; 0 without slices."""
        return int(self.offsets[-1])

    @property
    def nbytes(self) -> int:
        """Memory of all arrays in bytes."""
        values: list[Any] = [getattr(self, name) for name in self.__dataclass_fields__]
        return sum(value.nbytes for value in values if isinstance(value, np.ndarray))

    def with_pooling(self, pooling: Pooling) -> ScoreTable:
        """The same slices with p_j and p pooled in another way; arrays of slices are shared.

        Raises:
            PredictionsError: The table has no slices, or there is no such pooling.
        """
        if self.presence is None or self.fracture is None:
            raise PredictionsError(f"{self.name} cannot be pooled again: {NO_SLICES}.")
        scores, _ = vertebra_scores(self.presence, self.fracture, self.offsets, pooling)
        return replace(
            self,
            vertebra_scores=frozen(scores),
            patient_scores=frozen(patient_scores(scores)),
            pooling=pooling,
        )

    def take(self, places: NDArray[np.intp]) -> ScoreTable:
        """The studies at rising indices `places` (k,); the table itself where those are all."""
        return self if len(places) == self.n_studies else self.arranged(places)

    def arranged(self, places: NDArray[np.intp]) -> ScoreTable:
        """The studies at `places` (k,), in this order."""
        rows = rows_of_studies(self.offsets, places)

        def slices(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else frozen(values[rows])

        return replace(
            self,
            study_ids=frozen(self.study_ids[places]),
            offsets=frozen(offsets_of(np.diff(self.offsets)[places])),
            fold=frozen(self.fold[places]),
            vertebra_scores=frozen(self.vertebra_scores[places]),
            patient_scores=frozen(self.patient_scores[places]),
            presence=slices(self.presence),
            fracture=slices(self.fracture),
            slice_scores=slices(self.slice_scores),
        )


def table_from_slices(
    name: str,
    study_ids: NDArray[np.str_],
    offsets: NDArray[np.int64],
    presence: NDArray[np.float32],
    fracture: NDArray[np.float32],
    fracture_type: int,
    *,
    fold: NDArray[np.int16] | None = None,
    pooling: Pooling = "mean",
) -> ScoreTable:
    """Aggregate slice outputs; `core.inference.aggregation` has the formulas.

    Args:
        name: Name of the model.
        study_ids: (n,), sorted, each once.
        offsets: (n + 1,); every study has a slice.
        presence: float32 (N, 7) in [0, 1].
        fracture: float32 (N, 7) or, for Type 1, (N, 1), in [0, 1].
        fracture_type: 1, 2, 3, or 4 for boxes.
        fold: (n,); unknown if None.
        pooling: How p_j is pooled over slices.

    Raises:
        PredictionsError: A value is NaN or leaves [0, 1], the type or the pooling is unknown.
    """
    check_outputs(name, presence, fracture, fracture_type)
    if fracture_type == 1:
        fracture = np.ascontiguousarray(fracture[:, :1])
    vertebrae, _ = vertebra_scores(presence, fracture, offsets, pooling)
    slices, _ = slice_scores(presence, fracture, fracture_type)
    return ScoreTable(
        name=name,
        study_ids=frozen(study_ids),
        offsets=frozen(offsets),
        fold=frozen(np.full(len(study_ids), NO_FOLD, np.int16) if fold is None else fold),
        vertebra_scores=frozen(vertebrae),
        patient_scores=frozen(patient_scores(vertebrae)),
        presence=frozen(presence),
        fracture=frozen(fracture),
        slice_scores=frozen(slices),
        fracture_type=fracture_type,
        pooling=pooling,
    )


def table_from_predictions(
    name: str, predictions: Sequence[SlicePredictions], *, pooling: Pooling = "mean"
) -> ScoreTable:
    """Gather studies that are in memory.

    Raises:
        PredictionsError: There is none, one comes twice, their types differ, or values are wrong.
    """
    if not predictions:
        raise PredictionsError(f"{name} has no study; predict at least one.")
    ordered = sorted(predictions, key=lambda study: study.study_id)
    ids = [study.study_id for study in ordered]
    if len(set(ids)) < len(ids):
        twice = next(a for a, b in itertools.pairwise(ids) if a == b)
        raise PredictionsError(f"{name}: study {twice} comes twice; keep each study once.")
    types = {study.fracture_type for study in ordered}
    if len(types) > 1:
        raise PredictionsError(f"{name}: fracture types differ between studies; give one model.")
    return table_from_slices(
        name,
        np.array(ids, dtype=np.str_),
        offsets_of(np.array([study.n_slices for study in ordered])),
        np.concatenate([study.vertebra_probs for study in ordered]).astype(np.float32),
        np.concatenate([study.fracture_probs for study in ordered]).astype(np.float32),
        types.pop(),
        pooling=pooling,
    )


def table_without_slices(
    name: str,
    study_ids: NDArray[np.str_],
    vertebra_scores: NDArray[np.float64],
    patient_scores: NDArray[np.float64],
) -> ScoreTable:
    """A model known by its vertebra scores (n, 7) and patient scores (n,) alone.

    Args:
        name: Name of the model.
        study_ids: (n,) in any order, each once.
        vertebra_scores: p_j in [0, 1].
        patient_scores: p in [0, 1].
    """
    order = np.argsort(study_ids, kind="stable")
    n = len(study_ids)
    return ScoreTable(
        name=name,
        study_ids=frozen(study_ids[order]),
        offsets=frozen(np.zeros(n + 1, np.int64)),
        fold=frozen(np.full(n, NO_FOLD, np.int16)),
        vertebra_scores=frozen(vertebra_scores[order]),
        patient_scores=frozen(patient_scores[order]),
    )
