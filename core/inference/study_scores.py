"""What one study's predictions say, at every level, and the calls a threshold makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.inference.aggregation import aggregate
from core.types import PatientPrediction, SlicePredictions

PRESENT: Final = 0.5
"""Presence v_ij from which a vertebra counts as visible in a slice."""


@dataclass(frozen=True, slots=True, eq=False)
class StudyScores:
    """One study's scores and where they come from.

    Attributes:
        predictions: The networks' outputs.
        patient: Their aggregation to p_i, p_j and p.
        ranges: First and last slice that show C1..C7; None for a vertebra that is not seen.
        peaks: Per vertebra the slice with the highest f_ij v_ij.
        peak_slice: The slice with the highest p_i, the first of equals.
    """

    predictions: SlicePredictions
    patient: PatientPrediction
    ranges: tuple[tuple[int, int] | None, ...]
    peaks: tuple[int, ...]
    peak_slice: int

    @property
    def z_mm(self) -> NDArray[np.float64]:
        """float64 (n_slices,), mm, decreasing."""
        return self.predictions.z_mm


@dataclass(frozen=True, slots=True)
class Calls:
    """Yes or no at given thresholds.

    Attributes:
        patient: Whether the study is called fractured.
        vertebrae: The same for C1..C7; None for a vertebra that is not seen.
    """

    patient: bool
    vertebrae: tuple[bool | None, ...]


def score_study(predictions: SlicePredictions) -> StudyScores:
    """Aggregate one study and find where each vertebra lies and looks worst.

    Raises:
        PredictionsError: The arrays are unusable.
    """
    patient = aggregate(predictions)
    suspicion = predictions.fracture_probs * predictions.vertebra_probs
    seen = predictions.vertebra_probs >= PRESENT
    ranges = tuple(
        _longest_run(column) if exists else None
        for column, exists in zip(seen.T, patient.vertebra_seen, strict=True)
    )
    return StudyScores(
        predictions=predictions,
        patient=patient,
        ranges=ranges,
        peaks=tuple(int(i) for i in suspicion.argmax(axis=0)),
        peak_slice=int(patient.slice_probs.argmax()),
    )


def call(reading: StudyScores, *, patient: float, vertebra: float) -> Calls:
    """Turn probabilities into calls; a probability equal to its threshold is a call."""
    scores = zip(reading.patient.vertebra_probs, reading.ranges, strict=True)
    return Calls(
        patient=bool(reading.patient.patient_prob >= patient),
        vertebrae=tuple(None if span is None else bool(prob >= vertebra) for prob, span in scores),
    )


def _longest_run(flags: NDArray[np.bool_]) -> tuple[int, int] | None:
    """First and last index of the longest run of True, the first of equals; None without one."""
    edges = np.diff(np.concatenate(([False], flags, [False])).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return None
    longest = int((ends - starts).argmax())
    return int(starts[longest]), int(ends[longest]) - 1
