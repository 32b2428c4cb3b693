"""Counts and consequences at a threshold, by binary search in cached curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields, replace
from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.confusion import ConfusionCounts
from core.evaluation.curves import threshold_counts
from core.evaluation.tables.evaluation_set import LevelItems
from core.evaluation.thresholds import Limits, OperatingPoint, Rule, ThresholdRule, choose_threshold
from core.types import LevelName
from dashboard.evaluation.results import BY_KEY, ModelAtLevel, curve, vertebra_curves
from dashboard.evaluation.view import EvaluationView, RuleName, Thresholds

RULE_OF: Final[dict[RuleName, ThresholdRule]] = {
    "f1": "highest F1",
    "youden": "highest Youden index",
    "sensitivity": "target sensitivity",
    "specificity": "target specificity",
    "cost": "lowest cost",
    "limits": "within limits",
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
        origin: "shipped", or who set them and when, for those of a bundle; "" for a rule's.
    """

    values: Thresholds
    points: tuple[OperatingPoint, ...]
    on: str
    same_data: bool
    fallbacks: tuple[str, ...] = ()
    origin: str = ""


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
    limits = Limits(view.least_recall, view.least_precision, view.most_alarms)
    return Rule(name, asked, prevalence=view.prevalence, limits=limits)


def choose(
    on: ModelAtLevel, rule: Rule, *, by_vertebra: bool, label: str, same_data: bool
) -> ChosenThresholds:
    """Apply a rule to a model's curves.

    A vertebra without both classes takes the threshold chosen for all together.

    Args:
        on: The model on the studies to choose on.
        rule: Threshold rule.
        by_vertebra: Whether each of C1..C7 gets its own threshold.
        label: Name of the studies on the page.
        same_data: Whether they are the studies shown.

    Raises:
        PredictionsError: The rule cannot choose on these studies.
    """
    rule = replace(rule, studies=on.evaluated.data.truth.n_studies)
    if not by_vertebra:
        point = choose_threshold(curve(on), rule)
        return ChosenThresholds((point.threshold,), (point,), label, same_data)
    together = choose_threshold(curve(on.of_vertebrae), rule)
    points: list[OperatingPoint] = []
    fallbacks: list[str] = []
    for j, vertebra in enumerate(VERTEBRAE):
        counts = on.of_vertebrae.counts(j)
        try:
            points.append(together if counts.one_class else choose_threshold(counts, rule))
        except PredictionsError:
            points.append(together)
        if points[-1] is together:
            fallbacks.append(vertebra)
    values = tuple(point.threshold for point in points)
    return ChosenThresholds(values, tuple(points), label, same_data, tuple(fallbacks))


def pooled_figures(model: ModelAtLevel, thresholds: Thresholds) -> LiveFigures:
    """Counts of all items; a single threshold needs no curves of the vertebrae.

    Raises:
        PredictionsError: The level is not supported.
    """
    if len(thresholds) == N_VERTEBRAE:
        return live_figures(model, thresholds)
    (threshold,) = thresholds
    return LiveFigures(thresholds, curve(model).at(threshold), {})


@st.cache_resource(max_entries=512, show_spinner=False, hash_funcs=BY_KEY)
def live_figures(model: ModelAtLevel, thresholds: Thresholds) -> LiveFigures:
    """Count calls at thresholds; a score >= its threshold is a call.

    With seven thresholds a patient is called where any vertebra reaches its own; other levels are
    the sum over the seven.

    Raises:
        PredictionsError: The level is not supported.
    """
    together = curve(model).at(thresholds[0]) if len(thresholds) == 1 else None
    if together is not None and model.question.level == "patient":
        return LiveFigures(thresholds, together, _strata(model, thresholds[0]), strata=True)
    if together is not None and not model.question.knows_vertebrae:
        return LiveFigures(thresholds, together, {})
    curves = vertebra_curves(model.of_vertebrae)
    limits = thresholds if together is None else thresholds * N_VERTEBRAE
    each = {
        vertebra: curves[vertebra].scores.at(limit)
        for vertebra, limit in zip(VERTEBRAE, limits, strict=True)
    }
    if together is None and model.question.level == "patient":
        found, calls, half = threshold_scores(model, thresholds)
        together = threshold_counts(calls, found.truth).at(half)
    return LiveFigures(thresholds, together or _sum(each), each)


def threshold_scores(
    model: ModelAtLevel, thresholds: Thresholds
) -> tuple[LevelItems, NDArray[np.float64], float]:
    """Items, scores and one threshold that reproduce the calls at one or seven thresholds.

    With seven thresholds the scores are 1 for a call and 0 otherwise, and the threshold is 0.5.
    """
    found = model.items()
    if len(thresholds) == 1:
        return found, found.scores, thresholds[0]
    each = np.array(thresholds)
    if model.question.level == "patient":
        called = (model.evaluated.data.model(model.name).vertebra_scores >= each).any(axis=1)
        return found, np.asarray(called, dtype=np.float64), 0.5
    if model.question.level == "slice":
        parts = [model.items(j) for j in range(len(each))]
        names = [field.name for field in fields(LevelItems)]
        found = LevelItems(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
        )
    return found, (found.scores >= each[found.vertebrae]).astype(np.float64), 0.5


def what_if(level: LevelName, counts: ConfusionCounts) -> str:
    """The consequences of a threshold in one clause."""
    words = WORDS[level]
    return (
        f"{counts.false_negatives:,} of {counts.n_positive:,} {words.positives} are "
        f"{words.missed}, {counts.false_positives:,} of {counts.n_negative:,} {words.negatives} "
        f"{words.called}"
    )


def _strata(model: ModelAtLevel, threshold: float) -> dict[str, ConfusionCounts]:
    """Found and missed patients by the vertebra that is fractured."""
    called = model.evaluated.data.model(model.name).patient_scores >= threshold
    fractured = model.evaluated.data.truth.fractured
    found = (fractured & called[:, None]).sum(axis=0)
    missed = (fractured & ~called[:, None]).sum(axis=0)
    return {
        vertebra: ConfusionCounts(int(found[j]), 0, 0, int(missed[j]))
        for j, vertebra in enumerate(VERTEBRAE)
    }


def _sum(each: Mapping[str, ConfusionCounts]) -> ConfusionCounts:
    return ConfusionCounts(*map(sum, zip(*map(astuple, each.values()), strict=True)))
