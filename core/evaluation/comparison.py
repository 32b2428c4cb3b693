"""Comparison of models: differences of metrics with intervals and corrected tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import PredictionsError
from core.evaluation.calibration import reliability
from core.evaluation.curves import threshold_counts
from core.evaluation.delong import DelongTest, delong_test
from core.evaluation.intervals import CALIBRATION_METRICS, metric_samples, percentiles
from core.evaluation.mcnemar import McnemarTest, mcnemar_test
from core.evaluation.resampling import resampled
from core.evaluation.tables.evaluation_set import EvaluationSet, LevelItems, SliceTruth
from core.types import LevelName

COMPARED_METRICS: Final = (
    "auc", "average_precision", "accuracy", "precision", "recall", "specificity", "f1",
    "balanced_accuracy", "mcc", "brier", "expected_calibration_error",
)  # fmt: skip
_LOWER_IS_BETTER: Final = frozenset(CALIBRATION_METRICS)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A metric of two models on the same patients.

    Attributes:
        value: First minus second on the whole set; None where the metric is undefined.
        low: Lower end of the paired bootstrap's percentile interval; None like `value`.
        high: Upper end.
        p_value: Two-sided, by the bootstrap.
        adjusted_p: Holm's, over all pairs of models for this metric.
    """

    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    adjusted_p: float | None


@dataclass(frozen=True, slots=True)
class PairComparison:
    """Two models at one level.

    Attributes:
        first: Name.
        second: Name.
        differences: By metric of `COMPARED_METRICS`.
        delong: DeLong's test of the AUCs; None where undefined.
        delong_adjusted_p: Holm's over the pairs.
        mcnemar: McNemar's test of right and wrong calls at each model's threshold.
        mcnemar_adjusted_p: Holm's over the pairs.
    """

    first: str
    second: str
    differences: Mapping[str, PairedDifference]
    delong: DelongTest | None
    delong_adjusted_p: float | None
    mcnemar: McnemarTest
    mcnemar_adjusted_p: float


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Every pair of models at one level.

    Attributes:
        pairs: Each pair once, in the order of the models.
        best: By metric the model that is significantly better than every other (Holm-adjusted
            p < alpha); None where none is.
    """

    pairs: tuple[PairComparison, ...]
    best: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """Calls of a model at its threshold or thresholds.

    Attributes:
        name: Name of the setting.
        items: Items of the level; those of all settings that are compared are the same.
        scores: float64 (n,), which with `threshold` give the calls.
        threshold: A score >= threshold is a call.
    """

    name: str
    items: LevelItems
    scores: NDArray[np.float64]
    threshold: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm, 1979), in the order given.

    Raises:
        PredictionsError: A value is NaN or outside [0, 1].
    """
    values = np.asarray(p_values, np.float64)
    if not bool(np.all((values >= 0) & (values <= 1))):
        raise PredictionsError("A p-value is NaN or outside [0, 1]; give valid p-values.")
    order = np.argsort(values, kind="stable")
    stepped = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted.tolist()


def compare_models(
    evaluated: EvaluationSet,
    level: LevelName,
    thresholds: Mapping[str, float],
    *,
    definition: SliceTruth = "vertebra visible",
    metrics: Sequence[str] = COMPARED_METRICS,
    replicates: int = 1000,
    seed: int = 0,
    alpha: float = 0.05,
) -> ModelComparison:
    """Compare every pair of models that has the level, on the same draws of patients.

    Args:
        evaluated: Models and truth.
        level: The level.
        thresholds: By model name; a score >= threshold is a call.
        definition: Definition of slice truth.
        metrics: Some of `COMPARED_METRICS`; average precision takes the longest at full size.
        replicates: Bootstrap replicates over patients.
        seed: Seed of the bootstrap.
        alpha: Level of significance.

    Raises:
        PredictionsError: A threshold is missing or NaN, or models with slices disagree on which
            slices there are.
    """
    measured = [
        _measure(
            model.name, evaluated.items(model.name, level, definition=definition),
            thresholds, metrics, replicates, seed,
        )
        for model in evaluated.models
        if evaluated.unsupported(model.name, level, definition) is None
    ]  # fmt: skip
    pairs = [_compare(*pair, metrics) for pair in combinations(measured, 2)]
    pairs = _adjusted(pairs)
    best = {
        metric: _best(metric, measured, pairs, alpha) if len(measured) > 1 else None
        for metric in metrics
    }
    return ModelComparison(tuple(pairs), best)


def compare_settings(
    settings: Sequence[Setting], *, metrics: Sequence[str], replicates: int = 1000, seed: int = 0,
    first_minus_others: bool = False,
) -> tuple[PairComparison, ...]:  # fmt: skip
    """Compare every setting with the first, on the same draws of patients.

    Args:
        settings: The settings.
        metrics: Some of `COMPARED_METRICS`.
        replicates: Bootstrap replicates over patients.
        seed: Seed of the bootstrap.
        first_minus_others: Whether differences are "first minus setting".

    Returns:
        One comparison per setting but the first, each "setting minus first"; p-values are adjusted
        over them by Holm's method.

    Raises:
        PredictionsError: They do not have the same items, or a threshold is NaN.
    """
    measured = [
        _measure(
            one.name, replace(one.items, scores=one.scores), {one.name: one.threshold}, metrics,
            replicates, seed,
        )
        for one in settings
    ]  # fmt: skip
    pairs = [(other, measured[0]) for other in measured[1:]]
    if first_minus_others:
        pairs = [(first, other) for other, first in pairs]
    return tuple(_adjusted([_compare(*pair, metrics) for pair in pairs]))


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """One model: its items, its calls, and each metric on the set and on the replicates."""

    name: str
    items: LevelItems
    called: NDArray[np.bool_]
    values: Mapping[str, float | None]
    samples: Mapping[str, NDArray[np.float64]]
    usable: NDArray[np.bool_]


def _measure(
    name: str, items: LevelItems, thresholds: Mapping[str, float], metrics: Sequence[str],
    replicates: int, seed: int,
) -> _Measured:  # fmt: skip
    threshold = thresholds.get(name)
    if threshold is None or threshold != threshold:
        raise PredictionsError(f"{name} has no threshold; choose one before comparing models.")
    sample = resampled(items.scores, items.truth, items.patients, replicates=replicates, seed=seed)
    curve = threshold_counts(items.scores, items.truth)
    counts = curve.at(threshold)
    values: dict[str, float | None] = {
        "auc": curve.auc(),
        "average_precision": curve.average_precision(),
        **dict.fromkeys(CALIBRATION_METRICS),
    }
    samples = metric_samples(sample, threshold, metrics)
    # Scores that are no probabilities have no calibration.
    if not samples.keys().isdisjoint(CALIBRATION_METRICS):
        calibrated = reliability(items.scores, items.truth)
        values["brier"] = calibrated.brier
        values["expected_calibration_error"] = calibrated.expected_error
    values |= {metric: getattr(counts, metric) for metric in metrics if metric not in values}
    return _Measured(
        name=name,
        items=items,
        called=items.scores >= threshold,
        values=values,
        samples=samples,
        usable=sample.usable() if sample.n_patients > 1 else np.zeros(replicates, np.bool_),
    )


def _compare(first: _Measured, second: _Measured, metrics: Sequence[str]) -> PairComparison:
    one, other = first.items, second.items
    if not (
        np.array_equal(one.patients, other.patients) and np.array_equal(one.slices, other.slices)
    ):
        raise PredictionsError(
            f"{first.name} and {second.name} do not have the same slices; compare them at vertebra "
            "or patient level."
        )
    return PairComparison(
        first=first.name,
        second=second.name,
        differences={metric: _difference(metric, first, second) for metric in metrics},
        delong=delong_test(one.scores, other.scores, one.truth, one.patients),
        delong_adjusted_p=None,
        mcnemar=mcnemar_test(first.called, second.called, one.truth, one.patients),
        mcnemar_adjusted_p=1.0,
    )


def _difference(metric: str, first: _Measured, second: _Measured) -> PairedDifference:
    one, other = first.values[metric], second.values[metric]
    if one is None or other is None:
        return PairedDifference(None, None, None, None, None)
    drawn = (first.samples[metric] - second.samples[metric])[first.usable]
    interval = percentiles(drawn)
    if interval is None:
        return PairedDifference(one - other, None, None, None, None)
    # One is added because no finite number of replicates gives a p-value of 0.
    lower, upper = int((drawn <= 0).sum()), int((drawn >= 0).sum())
    p_value = min(1.0, 2.0 * (min(lower, upper) + 1) / (len(drawn) + 1))
    return PairedDifference(one - other, interval.low, interval.high, p_value, None)


def _adjusted(pairs: Sequence[PairComparison]) -> list[PairComparison]:
    """Holm's correction over the pairs, metric by metric and test by test."""
    metrics = list(pairs[0].differences) if pairs else []
    columns = {m: _holm_known([pair.differences[m].p_value for pair in pairs]) for m in metrics}
    delong = _holm_known([None if p.delong is None else p.delong.p_value for p in pairs])
    mcnemar = _holm_known([pair.mcnemar.p_value for pair in pairs])
    return [
        replace(
            pair,
            differences={
                m: replace(pair.differences[m], adjusted_p=columns[m][k]) for m in metrics
            },
            delong_adjusted_p=delong[k],
            mcnemar_adjusted_p=mcnemar[k] or 0.0,
        )
        for k, pair in enumerate(pairs)
    ]


def _holm_known(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction of the values that are not None."""
    known = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(known) for p in p_values]


def _best(
    metric: str, measured: Sequence[_Measured], pairs: Sequence[PairComparison], alpha: float
) -> str | None:
    """The model that is significantly better than every other; None where none is."""
    sign = -1 if metric in _LOWER_IS_BETTER else 1
    for model in measured:
        leads = [
            difference
            for pair in pairs
            if model.name in (pair.first, pair.second)
            for difference in [pair.differences[metric]]
            if difference.value is not None
            and difference.adjusted_p is not None
            and difference.adjusted_p < alpha
            and (sign * difference.value > 0) == (pair.first == model.name)
        ]
        if len(leads) == len(measured) - 1:
            return model.name
    return None
