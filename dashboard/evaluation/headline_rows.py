"""Figures of the headline table: every model's metrics, intervals and pairwise tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.evaluation.calibration import reliability
from core.evaluation.comparison import ModelComparison, compare_models
from core.evaluation.competition import CompetitionLoss, competition_loss
from core.evaluation.confusion import ConfusionCounts
from core.evaluation.intervals import Interval, bootstrap_intervals
from core.evaluation.tables.evaluation_set import EvaluationSet, LevelItems
from core.types import LevelName
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.deferred import PENDING, Pending, deferred
from dashboard.evaluation.results import Evaluated, Question, curve, items
from dashboard.evaluation.threshold_counts import pooled_figures
from dashboard.evaluation.view import Thresholds

FREE_METRICS: Final = ("auc", "average_precision", "brier", "expected_calibration_error")
THRESHOLD_METRICS: Final = ("f1", "recall", "precision", "specificity", "accuracy")
REPLICATES: Final = 1000

PROJECT_FIGURES: Final[dict[LevelName, dict[str, float]]] = {
    "patient": {"auc": 0.747, "recall": 0.996},
    "vertebra": {"auc": 0.748, "recall": 0.835},
    "slice": {"auc": 0.946, "accuracy": 0.980},
    "presence": {"auc": 0.959, "accuracy": 0.945},
}
"""What the team's project reached on the RSNA 2022 data, by level."""


@dataclass(frozen=True, slots=True)
class HeadlineRow:
    """Figures of one model.

    Attributes:
        name: Name of the model.
        values: Value by metric; None where it is undefined.
        intervals: Interval by metric; None where there is none.
        pending: Whether intervals are still being computed.
        loss: Loss of the RSNA 2022 competition, at vertebra and patient level; None at others.
    """

    name: str
    values: Mapping[str, float | None]
    intervals: Mapping[str, Interval | None]
    pending: bool
    loss: CompetitionLoss | None


def headline_rows(comparison: ComparisonTable) -> list[HeadlineRow]:
    """Figures of every model at the thresholds of the rule."""
    return [_row(comparison, name) for name in comparison.names]


def pair_tests(comparison: ComparisonTable) -> ModelComparison | Pending | None:
    """Pairwise tests; None with one model or with one threshold per vertebra."""
    thresholds = {name: own.values for name, own in comparison.chosen.items()}
    if len(comparison.names) < 2 or set(thresholds) != set(comparison.names):
        return None
    if any(len(values) > 1 for values in thresholds.values()):
        return None
    evaluated, question = comparison.evaluated, comparison.question
    shared = {name: values[0] for name, values in thresholds.items()}
    work = partial(
        compare_models, _only(comparison), question.level, shared,
        definition=question.definition, replicates=REPLICATES,
    )  # fmt: skip
    key = f"pairs|{evaluated.key}|{question}|{sorted(shared.items())}"
    return deferred(key, work, items=_count(comparison) * len(comparison.names))


def threshold_scores(
    evaluated: Evaluated, name: str, question: Question, thresholds: Thresholds
) -> tuple[LevelItems, NDArray[np.float64], float]:
    """Items, scores and one threshold that reproduce the calls at one or seven thresholds.

    With seven thresholds the scores are 1 for a call and 0 otherwise, and the threshold is 0.5.
    """
    found = items(evaluated, name, question)
    if len(thresholds) == 1:
        return found, found.scores, thresholds[0]
    each = np.array(thresholds)
    if question.level == "patient":
        calls = (evaluated.data.model(name).vertebra_scores >= each).any(axis=1)
    elif question.level == "slice":
        parts = [items(evaluated, name, question, j) for j in range(len(each))]
        found = _joined(parts)
        calls = found.scores >= each[found.vertebrae]
    else:
        calls = found.scores >= each[found.vertebrae]
    return found, np.asarray(calls, dtype=np.float64), 0.5


def _row(comparison: ComparisonTable, name: str) -> HeadlineRow:
    evaluated, question = comparison.evaluated, comparison.question
    thresholds = comparison.chosen[name].values if name in comparison.chosen else (0.5,)
    counts = curve(evaluated, name, question)
    values = _values(comparison, name, pooled_figures(evaluated, name, question, thresholds).counts)
    key = f"intervals|{evaluated.key}|{question}|{name}"
    n = counts.n_positive + counts.n_negative
    free = deferred(key, partial(_free_intervals, evaluated, name, question), items=n)
    at = deferred(
        f"{key}|{thresholds}",
        partial(_threshold_intervals, evaluated, name, question, thresholds),
        items=n,
    )
    intervals: dict[str, Interval | None] = {}
    for part in (free, at):
        if not isinstance(part, Pending):
            intervals |= part
    pending = free is PENDING or at is PENDING
    return HeadlineRow(name, values, intervals, pending, _loss(comparison, name))


def _values(
    comparison: ComparisonTable, name: str, called: ConfusionCounts
) -> dict[str, float | None]:
    evaluated, question = comparison.evaluated, comparison.question
    counts = curve(evaluated, name, question)

    def calibration() -> tuple[float, float]:
        found = items(evaluated, name, question)
        measured = reliability(found.scores, found.truth)
        return measured.brier, measured.expected_error

    key = f"calibration|{evaluated.key}|{question}|{name}"
    errors = deferred(key, calibration, items=0)
    brier, expected = (None, None) if isinstance(errors, Pending) else errors
    found: dict[str, float | None] = {
        "auc": counts.auc(),
        "average_precision": counts.average_precision(),
        "brier": brier,
        "expected_calibration_error": expected,
    }
    return found | {metric: getattr(called, metric) for metric in THRESHOLD_METRICS}


def _free_intervals(
    evaluated: Evaluated, name: str, question: Question
) -> dict[str, Interval | None]:
    found = items(evaluated, name, question)
    return bootstrap_intervals(
        found.scores, found.truth, found.patients, threshold=0.5, replicates=REPLICATES,
        metrics=FREE_METRICS,
    )  # fmt: skip


def _threshold_intervals(
    evaluated: Evaluated, name: str, question: Question, thresholds: Thresholds
) -> dict[str, Interval | None]:
    found, scores, threshold = threshold_scores(evaluated, name, question, thresholds)
    return bootstrap_intervals(
        scores, found.truth, found.patients, threshold=threshold, replicates=REPLICATES,
        metrics=THRESHOLD_METRICS,
    )  # fmt: skip


def _loss(comparison: ComparisonTable, name: str) -> CompetitionLoss | None:
    if comparison.question.level not in ("patient", "vertebra"):
        return None
    model = comparison.evaluated.data.model(name)
    fractured = comparison.evaluated.data.truth.fractured
    return competition_loss(model.patient_scores, model.vertebra_scores, fractured)


def _only(comparison: ComparisonTable) -> EvaluationSet:
    """The evaluated set with only the models shown."""
    data = comparison.evaluated.data
    models = tuple(model for model in data.models if model.name in comparison.models)
    return EvaluationSet(data.truth, models, data.coverage)


def _count(comparison: ComparisonTable) -> int:
    counts = curve(comparison.evaluated, comparison.names[0], comparison.question)
    return counts.n_positive + counts.n_negative


def _joined(parts: Sequence[LevelItems]) -> LevelItems:
    return LevelItems(
        scores=np.concatenate([part.scores for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        patients=np.concatenate([part.patients for part in parts]),
        vertebrae=np.concatenate([part.vertebrae for part in parts]),
        slices=np.concatenate([part.slices for part in parts]),
    )
