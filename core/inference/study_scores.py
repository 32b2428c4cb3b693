"""One study's scores at every level, and its calls at given thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.inference.aggregation import aggregate
from core.types import PatientPrediction, SlicePredictions

PRESENT: Final = 0.5
"""Smallest presence v_ij of a vertebra that counts as visible in a slice."""


@dataclass(frozen=True, slots=True, eq=False)
class StudyScores:
    """One study's scores and the predictions behind them.

    Attributes:
        predictions: The networks' outputs.
        patient: Their aggregation to p_i, p_j and p.
        ranges: First and last slice of C1..C7; None for a vertebra that is not seen.
        peaks: Slice with the highest f_ij v_ij of each vertebra, within its range where it is seen.
        peak_slice: Slice with the highest p_i, the first of equals.
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
        patient: Whether the patient is called fractured; None if no call is made on the study.
        vertebrae: The same for C1..C7; None also for a vertebra that is not seen.
    """

    patient: bool | None
    vertebrae: tuple[bool | None, ...]


def score_study(predictions: SlicePredictions) -> StudyScores:
    """Aggregate one study and find the slice range and the peak of each vertebra.

    Raises:
        PredictionsError: The arrays are invalid.
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
        peaks=tuple(_peak(column, span) for column, span in zip(suspicion.T, ranges, strict=True)),
        peak_slice=int(patient.slice_probs.argmax()),
    )


def call(scores: StudyScores, *, patient: float, vertebra: float) -> Calls:
    """Turn probabilities into calls; a probability equal to its threshold is a call."""
    vertebrae = zip(scores.patient.vertebra_probs, scores.ranges, strict=True)
    return Calls(
        patient=bool(scores.patient.patient_prob >= patient),
        vertebrae=tuple(None if span is None else bool(p >= vertebra) for p, span in vertebrae),
    )


def _peak(suspicion: NDArray[np.floating], span: tuple[int, int] | None) -> int:
    """Index of the highest value, the first of equals; only within the span if there is one."""
    first, last = span or (0, len(suspicion) - 1)
    return first + int(suspicion[first : last + 1].argmax())


def _longest_run(flags: NDArray[np.bool_]) -> tuple[int, int] | None:
    """First and last index of the longest run of True, the first of equals; None without one."""
    edges = np.diff(np.concatenate(([False], flags, [False])).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return None
    longest = int((ends - starts).argmax())
    return int(starts[longest]), int(ends[longest]) - 1
