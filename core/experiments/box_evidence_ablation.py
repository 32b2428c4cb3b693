"""Ablation of the steps from boxes to fracture probabilities."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.constants import BOXES_TYPE, N_VERTEBRAE
from core.evaluation.report import evaluate_scores
from core.evaluation.tables.score_files import read_score_table
from core.evaluation.tables.truth_table import TruthTable
from core.experiments.shipped_scores import TOP_K
from core.inference.boxes.evidence import POWERS, box_outputs, fit_box_weights, gather_evidence
from core.inference.context import fit_context, in_context
from core.inference.outputs import write_slices
from core.models.bundles import BoxWeights
from core.types import LevelName, RawDetections, SlicePredictions

SCORED_LEVELS: Final[tuple[LevelName, ...]] = ("slice", "vertebra", "patient")


@dataclass(frozen=True, slots=True, eq=False)
class FitStudy:
    """A study that weights are fitted to.

    Attributes:
        raw: The localiser's boxes.
        seen: Outputs with v_ij.
        target: bool (n, 7), y_ij.
    """

    raw: RawDetections
    seen: SlicePredictions
    target: NDArray[np.bool_]


Method = Callable[[RawDetections, SlicePredictions], SlicePredictions]


def compare_methods(
    fitted_on: Sequence[FitStudy],
    cohorts: Mapping[str, tuple[Sequence[tuple[RawDetections, SlicePredictions]], TruthTable]],
) -> list[dict[str, Any]]:
    """AUC of three ways to turn the same boxes into probabilities, the shipped one last.

    Args:
        fitted_on: Studies that the methods are fitted to.
        cohorts: Boxes with predictions that hold v_ij, and truth, by cohort name.

    Returns:
        JSON values: name of the method as `reading`, and the AUC of each level by cohort.

    Raises:
        TrainingError: The studies are of one class.
    """
    found: list[dict[str, Any]] = []
    for name, fit in _METHODS.items():
        method = fit(fitted_on)
        row: dict[str, Any] = {"reading": name}
        for cohort, (studies, truth) in cohorts.items():
            row[cohort] = _aucs([method(raw, seen) for raw, seen in studies], truth)
        found.append(row)
    return found


def fit_weights(studies: Sequence[FitStudy], owner_powers: Sequence[float] = POWERS) -> BoxWeights:
    """Fit the box weights to studies, see `fit_box_weights`."""
    rows = [
        (gather_evidence(one.raw, one.seen.vertebra_probs), one.seen.vertebra_probs, one.target)
        for one in studies
    ]
    return fit_box_weights(rows, owners=owner_powers)


def _fit_with_owners(studies: Sequence[FitStudy], owner_powers: Sequence[float] = POWERS) -> Method:
    weights = fit_weights(studies, owner_powers)
    return lambda raw, seen: box_outputs(raw, seen, weights)


def _fit_slices(studies: Sequence[FitStudy]) -> Method:
    rows = [
        (_best_boxes(one.raw, one.seen), one.seen.vertebra_probs, one.target) for one in studies
    ]
    context = fit_context(rows, top_k=TOP_K, shared=False)

    def method(raw: RawDetections, seen: SlicePredictions) -> SlicePredictions:
        probs = in_context(_best_boxes(raw, seen), seen.vertebra_probs, context, shared=False)
        return replace(seen, fracture_probs=probs, fracture_type=BOXES_TYPE)

    return method


_METHODS: Final[Mapping[str, Callable[[Sequence[FitStudy]], Method]]] = {
    "the three best slices of a vertebra, for every vertebra in view": _fit_slices,
    "tracks as a noisy or, for every vertebra in view": partial(
        _fit_with_owners, owner_powers=(0.0,)
    ),
    "tracks as a noisy or, by owner": _fit_with_owners,
}


def _best_boxes(raw: RawDetections, seen: SlicePredictions) -> NDArray[np.float32]:
    """f_ij if a slice's best box counts for every vertebra, float32 (n, 7)."""
    scores = gather_evidence(raw, seen.vertebra_probs).slices
    return np.repeat(scores[:, np.newaxis], N_VERTEBRAE, axis=1).astype(np.float32)


def _aucs(outputs: Sequence[SlicePredictions], truth: TruthTable) -> dict[str, float | None]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outputs.parquet"
        write_slices(file, outputs, folds={})
        report = evaluate_scores(read_score_table(file, "boxes"), truth, replicates=1)
    return {level: report.levels[level].metrics.auc for level in SCORED_LEVELS}
