"""Counts and consequences at a threshold, by binary search in cached curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import streamlit as st

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.confusion import ConfusionCounts
from core.evaluation.thresholds import OperatingPoint, Rule, choose_threshold
from core.types import LevelName
from dashboard.evaluation.results import (
    BY_KEY,
    Evaluated,
    Question,
    curve,
    vertebra_counts,
    vertebra_curves,
)
from dashboard.evaluation.view import EvaluationView, RuleName, Thresholds

RULE_OF: Final[dict[RuleName, str]] = {
    "f1": "highest F1",
    "youden": "highest Youden index",
    "sensitivity": "target sensitivity",
    "specificity": "target specificity",
    "cost": "lowest cost",
}


@dataclass(frozen=True, slots=True)
class LevelWords:
    """Names of the items of a level.

    Attributes:
        positives: Plural of the positives.
        negatives: Plural of the negatives.
        missed: Name of an error on a positive below the threshold.
        called: Name of an error on a negative at or above it.
    """

    positives: str
    negatives: str
    missed: str = "missed"
    called: str = "called fractured"


WORDS: Final[dict[LevelName, LevelWords]] = {
    "patient": LevelWords("fractured patients", "healthy ones"),
    "vertebra": LevelWords("fractured vertebrae", "intact ones"),
    "slice": LevelWords("fractured slices", "others"),
    "presence": LevelWords("visible vertebrae", "absent ones", "overlooked", "taken for visible"),
}


@dataclass(frozen=True, slots=True)
class ChosenThresholds:
    """Thresholds that a rule chose for one model.

    Attributes:
        values: One threshold for all items or seven for C1..C7.
        points: The operating points of the thresholds.
        on: Name of the studies they were chosen on.
        same_data: Whether those are the studies shown.
        fallbacks: Vertebrae without a threshold by their own curve, which take the shared one.
    """

    values: Thresholds
    points: tuple[OperatingPoint, ...]
    on: str
    same_data: bool
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """Counts of one model at its thresholds.

    Attributes:
        thresholds: One for all items or seven for C1..C7.
        counts: Counts of all items.
        per_vertebra: Counts by vertebra; with `strata`, of patients with that vertebra fractured.
        strata: Whether `per_vertebra` counts patients instead of vertebrae.
    """

    thresholds: Thresholds
    counts: ConfusionCounts
    per_vertebra: Mapping[str, ConfusionCounts]
    strata: bool = False


def rule_of(view: EvaluationView) -> Rule:
    """The threshold rule of a view, with its parameter where it needs one."""
    name = RULE_OF[view.rule]
    asked = view.target if view.rule in ("sensitivity", "specificity", "cost") else None
    if asked is not None and view.rule != "cost":
        asked = min(asked, 1.0)
    return Rule(name, asked)  # pyright: ignore[reportArgumentType]


def choose(
    on: Evaluated, name: str, question: Question, rule: Rule, *, by_vertebra: bool, label: str,
    same_data: bool,
) -> ChosenThresholds:  # fmt: skip
    """Apply a rule to a model's curves.

    A vertebra without both classes takes the threshold chosen for all together.

    Args:
        on: Studies to choose on.
        name: Name of the model.
        question: Level and definition of truth.
        rule: Threshold rule.
        by_vertebra: Whether each of C1..C7 gets its own threshold.
        label: Name of `on` on the page.
        same_data: Whether `on` are the studies shown.

    Raises:
        PredictionsError: The rule cannot choose on these studies.
    """
    if not by_vertebra:
        point = choose_threshold(curve(on, name, question), rule)
        return ChosenThresholds((point.threshold,), (point,), label, same_data)
    asked = question.of_vertebrae
    together = choose_threshold(curve(on, name, asked), rule)
    points: list[OperatingPoint] = []
    fallbacks: list[str] = []
    for vertebra, counts in vertebra_counts(on, name, asked).items():
        try:
            points.append(together if counts.one_class else choose_threshold(counts, rule))
        except PredictionsError:
            points.append(together)
        if points[-1] is together:
            fallbacks.append(vertebra)
    values = tuple(point.threshold for point in points)
    return ChosenThresholds(values, tuple(points), label, same_data, tuple(fallbacks))


def pooled_figures(
    evaluated: Evaluated, name: str, question: Question, thresholds: Thresholds
) -> LiveFigures:
    """Counts of all items; a single threshold needs no curves of the vertebrae.

    Raises:
        PredictionsError: The level is not supported.
    """
    if len(thresholds) == N_VERTEBRAE:
        return live_figures(evaluated, name, question, thresholds)
    (threshold,) = thresholds
    return LiveFigures(thresholds, curve(evaluated, name, question).at(threshold), {})


@st.cache_resource(max_entries=512, show_spinner=False, hash_funcs=BY_KEY)
def live_figures(
    evaluated: Evaluated, name: str, question: Question, thresholds: Thresholds
) -> LiveFigures:
    """Count calls at thresholds; a score >= its threshold is a call.

    With seven thresholds a patient is called where any vertebra reaches its own; other levels are
    the sum over the seven.

    Raises:
        PredictionsError: The level is not supported.
    """
    if len(thresholds) == N_VERTEBRAE:
        return _by_vertebra(evaluated, name, question, thresholds)
    (threshold,) = thresholds
    counts = curve(evaluated, name, question).at(threshold)
    if question.level == "patient":
        strata = _strata(evaluated, name, threshold)
        return LiveFigures(thresholds, counts, strata, strata=True)
    if not question.knows_vertebrae:
        return LiveFigures(thresholds, counts, {})
    curves = vertebra_curves(evaluated, name, question)
    return LiveFigures(
        thresholds, counts, {vertebra: own.scores.at(threshold) for vertebra, own in curves.items()}
    )


def what_if(level: LevelName, counts: ConfusionCounts) -> str:
    """The consequences of a threshold in one clause."""
    words = WORDS[level]
    return (
        f"{counts.false_negatives:,} of {counts.n_positive:,} {words.positives} are "
        f"{words.missed}, {counts.false_positives:,} of {counts.n_negative:,} {words.negatives} "
        f"{words.called}"
    )


def _by_vertebra(
    evaluated: Evaluated, name: str, question: Question, thresholds: Thresholds
) -> LiveFigures:
    curves = vertebra_curves(evaluated, name, question)
    each = {
        vertebra: curves[vertebra].scores.at(threshold)
        for vertebra, threshold in zip(VERTEBRAE, thresholds, strict=True)
    }
    if question.level != "patient":
        return LiveFigures(thresholds, _sum(each), each)
    scores = evaluated.data.model(name).vertebra_scores
    called = (scores >= np.array(thresholds)).any(axis=1)
    truth = evaluated.data.truth.fractured.any(axis=1)
    counts = ConfusionCounts(
        int((called & truth).sum()), int((called & ~truth).sum()),
        int((~called & ~truth).sum()), int((~called & truth).sum()),
    )  # fmt: skip
    return LiveFigures(thresholds, counts, each)


def _strata(evaluated: Evaluated, name: str, threshold: float) -> dict[str, ConfusionCounts]:
    """Found and missed patients by the vertebra that is fractured."""
    called = evaluated.data.model(name).patient_scores >= threshold
    fractured = evaluated.data.truth.fractured
    found = (fractured & called[:, None]).sum(axis=0)
    missed = (fractured & ~called[:, None]).sum(axis=0)
    return {
        vertebra: ConfusionCounts(int(found[j]), 0, 0, int(missed[j]))
        for j, vertebra in enumerate(VERTEBRAE)
    }


def _sum(each: Mapping[str, ConfusionCounts]) -> ConfusionCounts:
    return ConfusionCounts(
        sum(counts.true_positives for counts in each.values()),
        sum(counts.false_positives for counts in each.values()),
        sum(counts.true_negatives for counts in each.values()),
        sum(counts.false_negatives for counts in each.values()),
    )
