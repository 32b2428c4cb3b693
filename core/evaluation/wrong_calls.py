"""The wrong calls of a model at its thresholds, the worst first, and where to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.tables.evaluation_set import EvaluationSet, LevelItems
from core.evaluation.tables.score_table import ScoreTable
from core.evaluation.tables.truth_table import TruthTable

ErrorKind = Literal["missed", "alarms"]


@dataclass(frozen=True, slots=True)
class WrongCall:
    """One false negative or false positive.

    Attributes:
        study_id: StudyInstanceUID.
        vertebra: 0..6: the item's own, or the one to look at; None where none is known.
        slice_index: 0 the most cranial; the slice to look at; None without slice scores.
        score: Of the item.
        threshold: That it was held against.
        margin: How far the score lies on the wrong side, >= 0.
    """

    study_id: str
    vertebra: int | None
    slice_index: int | None
    score: float
    threshold: float
    margin: float


def wrong_calls(
    evaluated: EvaluationSet, name: str, items: LevelItems, thresholds: NDArray[np.float64],
    kind: ErrorKind, *, at_most: int = 50,
) -> tuple[list[WrongCall], int]:  # fmt: skip
    """List wrong calls by how wrong they are.

    Args:
        evaluated: Models and truth.
        name: Of the model.
        items: Of the level.
        thresholds: float64 (1,) for all items, or (7,) by the item's vertebra.
        kind: Positives below the threshold, or negatives at or above it.
        at_most: How many to list.

    Returns:
        The worst ones, and how many there are in all.

    Raises:
        PredictionsError: Seven thresholds come with items of no vertebra.
    """
    if len(thresholds) > 1 and bool((items.vertebrae < 0).any()):
        raise PredictionsError(
            "Items of no vertebra cannot be held against seven thresholds; give one."
        )
    limit = thresholds[items.vertebrae] if len(thresholds) > 1 else thresholds[0]
    margin = limit - items.scores if kind == "missed" else items.scores - limit
    wrong = items.truth & (margin > 0) if kind == "missed" else ~items.truth & (margin >= 0)
    places = np.flatnonzero(wrong)
    order = np.argsort(-margin[places], kind="stable")[:at_most]
    model = evaluated.model(name)
    calls = [_call(evaluated, model, items, int(k), thresholds, kind) for k in places[order]]
    return calls, len(places)


def slice_to_look_at(
    model: ScoreTable, truth: TruthTable, study: int, vertebra: int | None, kind: ErrorKind
) -> int | None:
    """The slice that shows best what went wrong.

    For a missed vertebra the middle of its boxed slices, else of the slices that show it by the
    mask, else the slice where the network sees it most. For a false alarm the slice with the
    highest f_ij v_ij.

    Args:
        model: Its scores.
        truth: Of the same studies.
        study: Place of the study.
        vertebra: 0..6; None looks at all of them.
        kind: Of error.

    Returns:
        Slice index; None for a model without slices.
    """
    if model.presence is None or model.fracture is None:
        return None
    rows = slice(int(model.offsets[study]), int(model.offsets[study + 1]))
    presence, fracture = model.presence[rows], model.fracture[rows]
    if kind == "missed" and vertebra is not None:
        shown = _shown(truth, study, vertebra, len(presence))
        if len(shown):
            return int(shown[len(shown) // 2])
        return int(presence[:, vertebra].argmax())
    suspicion = presence * fracture
    column = suspicion.max(axis=1) if vertebra is None else suspicion[:, vertebra]
    return int(column.argmax())


def _shown(truth: TruthTable, study: int, vertebra: int, n_slices: int) -> NDArray[np.intp]:
    """Slices that show a vertebra by the mask; those with a box where there are any."""
    rows = slice(int(truth.offsets[study]), int(truth.offsets[study + 1]))
    present = truth.presence[rows, vertebra]
    if len(present) != n_slices:
        return np.zeros(0, np.intp)
    if truth.boxed is not None:
        boxed = np.flatnonzero(present & truth.boxed[rows])
        if len(boxed):
            return boxed
    return np.flatnonzero(present)


def _call(
    evaluated: EvaluationSet, model: ScoreTable, items: LevelItems, k: int,
    thresholds: NDArray[np.float64], kind: ErrorKind,
) -> WrongCall:  # fmt: skip
    study = int(items.patients[k])
    own = int(items.vertebrae[k])
    vertebra = own if own >= 0 else _vertebra(evaluated, model, study, items.slices[k], kind)
    index = int(items.slices[k])
    score = float(items.scores[k])
    threshold = float(thresholds[own] if len(thresholds) == N_VERTEBRAE else thresholds[0])
    return WrongCall(
        study_id=str(model.study_ids[study]),
        vertebra=vertebra,
        slice_index=index
        if index >= 0
        else slice_to_look_at(model, evaluated.truth, study, vertebra, kind),
        score=score,
        threshold=threshold,
        margin=abs(score - threshold),
    )


def _vertebra(
    evaluated: EvaluationSet, model: ScoreTable, study: int, index: int, kind: ErrorKind
) -> int | None:
    """The vertebra to look at: of a miss a fractured one, of an alarm the most suspicious."""
    scores = model.vertebra_scores[study].copy()
    if index >= 0 and model.presence is not None and model.fracture is not None:
        row = int(model.offsets[study]) + int(index)
        scores = (model.presence[row] * model.fracture[row]).astype(np.float64)
    if kind == "missed":
        fractured = evaluated.truth.fractured[study]
        if not fractured.any():
            return None
        scores[~fractured] = -1.0
    return int(scores.argmax())
