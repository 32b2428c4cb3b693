"""Wrong calls of a model at its thresholds, the worst first, with the slice to look at."""

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
from core.types import StudyId

ErrorKind = Literal["missed", "alarms"]


@dataclass(frozen=True, slots=True)
class WrongCall:
    """One false negative or false positive.

    Attributes:
        study_id: StudyInstanceUID.
        vertebra: 0..6, the item's vertebra or the one to look at; None where none is known.
        slice_index: Slice to look at, 0 the most cranial; None without slice scores.
        score: Score of the item.
        threshold: Threshold of the item.
        margin: Distance of the score from the threshold, >= 0.
    """

    study_id: StudyId
    vertebra: int | None
    slice_index: int | None
    score: float
    threshold: float
    margin: float


def wrong_calls(
    evaluated: EvaluationSet, name: str, items: LevelItems, thresholds: NDArray[np.float64],
    kind: ErrorKind, *, at_most: int = 50,
) -> tuple[list[WrongCall], int]:  # fmt: skip
    """List wrong calls, the largest margin first.

    Args:
        evaluated: Models and truth.
        name: Name of the model.
        items: Items of the level.
        thresholds: float64 (1,) for all items, or (7,) by the item's vertebra.
        kind: "missed" for positives below the threshold, "alarms" for negatives at or above it.
        at_most: Length of the list.

    Returns:
        The wrong calls with the largest margins, and the number of all wrong calls.

    Raises:
        PredictionsError: Seven thresholds are given for items without a vertebra.
    """
    if len(thresholds) > 1 and bool((items.vertebrae < 0).any()):
        raise PredictionsError("Items without a vertebra need one threshold, not seven; give one.")
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
    """Index of the slice that best shows the error.

    For a missed vertebra the middle of its boxed slices, otherwise of its slices by the mask,
    otherwise the slice with its highest presence v_ij. For a false alarm the slice with the
    highest f_ij v_ij.

    Args:
        model: Scores of the model.
        truth: Truth of the same studies.
        study: Index of the study.
        vertebra: 0..6; None looks at all of them.
        kind: Kind of error.

    Returns:
        Slice index; None for a model without slice scores.
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
        study_id=StudyId(str(model.study_ids[study])),
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
