"""Figures of the headline table: every model's metrics, intervals and pairwise tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import streamlit as st

from core.evaluation.calibration import reliability
from core.evaluation.comparison import ModelComparison, compare_models
from core.evaluation.competition import CompetitionLoss, competition_loss
from core.evaluation.confusion import ConfusionCounts
from core.evaluation.intervals import Interval, bootstrap_intervals
from core.types import LevelName
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.deferred import PENDING, Pending, deferred
from dashboard.evaluation.results import BY_KEY, ModelAtLevel, curve
from dashboard.evaluation.threshold_counts import pooled_figures, threshold_scores
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
    shown = tuple(model for model in evaluated.data.models if model.name in comparison.models)
    shared = {name: values[0] for name, values in thresholds.items()}
    work = partial(
        compare_models, replace(evaluated.data, models=shown), question.level, shared,
        definition=question.definition, replicates=REPLICATES,
    )  # fmt: skip
    key = f"pairs|{evaluated.key}|{question}|{sorted(shared.items())}"
    n = curve(comparison.at_level(comparison.names[0])).n
    return deferred(key, work, items=n * len(comparison.names))


def _row(comparison: ComparisonTable, name: str) -> HeadlineRow:
    model = comparison.at_level(name)
    thresholds = comparison.chosen[name].values if name in comparison.chosen else (0.5,)
    parts = [
        deferred(key, partial(_intervals, model, at, metrics), items=curve(model).n)
        for key, at, metrics in (
            (f"intervals|{model.key}", (0.5,), FREE_METRICS),
            (f"intervals|{model.key}|{thresholds}", thresholds, THRESHOLD_METRICS),
        )
    ]
    intervals: dict[str, Interval | None] = {}
    for part in parts:
        if not isinstance(part, Pending):
            intervals |= part
    values = _values(model, pooled_figures(model, thresholds).counts)
    return HeadlineRow(name, values, intervals, PENDING in parts, _loss(model))


def _values(model: ModelAtLevel, called: ConfusionCounts) -> dict[str, float | None]:
    brier, expected_error = _calibration(model)
    found: dict[str, float | None] = {
        "auc": curve(model).auc(),
        "average_precision": curve(model).average_precision(),
        "brier": brier,
        "expected_calibration_error": expected_error,
    }
    return found | {metric: getattr(called, metric) for metric in THRESHOLD_METRICS}


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _calibration(model: ModelAtLevel) -> tuple[float, float]:
    """Brier score and expected calibration error."""
    found = model.items()
    measured = reliability(found.scores, found.truth)
    return measured.brier, measured.expected_error


def _intervals(
    model: ModelAtLevel, thresholds: Thresholds, metrics: Collection[str]
) -> dict[str, Interval | None]:
    found, scores, threshold = threshold_scores(model, thresholds)
    return bootstrap_intervals(
        scores, found.truth, found.patients, threshold=threshold, replicates=REPLICATES,
        metrics=metrics,
    )  # fmt: skip


def _loss(model: ModelAtLevel) -> CompetitionLoss | None:
    if model.question.level not in ("patient", "vertebra"):
        return None
    data = model.evaluated.data
    scores = data.model(model.name)
    return competition_loss(scores.patient_scores, scores.vertebra_scores, data.truth.fractured)
