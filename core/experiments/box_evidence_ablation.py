"""What each step from boxes to fracture probabilities brings, beside the shipped way of reading."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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

JUDGED: Final[tuple[LevelName, ...]] = ("slice", "vertebra", "patient")


@dataclass(frozen=True, slots=True, eq=False)
class FitStudy:
    """A study that weights are fitted to.

    Attributes:
        raw: The localiser's boxes.
        seen: Outputs that hold v_ij.
        target: bool (n, 7), y_ij.
    """

    raw: RawDetections
    seen: SlicePredictions
    target: NDArray[np.bool_]


Read = Callable[[RawDetections, SlicePredictions], SlicePredictions]


def compare_readings(
    fitted_on: Sequence[FitStudy],
    cohorts: Mapping[str, tuple[Sequence[tuple[RawDetections, SlicePredictions]], TruthTable]],
) -> list[dict[str, Any]]:
    """AUC of three ways to read the same boxes, the shipped one last.

    Args:
        fitted_on: What each way's numbers are fitted to.
        cohorts: By name the studies, each with what holds its v_ij, and their truth.

    Returns:
        JSON values: `reading`, and by cohort the AUC of each level.

    Raises:
        TrainingError: The studies are of one class.
    """
    found: list[dict[str, Any]] = []
    for name, fit in _READINGS.items():
        read = fit(fitted_on)
        row: dict[str, Any] = {"reading": name}
        for cohort, (studies, truth) in cohorts.items():
            row[cohort] = _areas([read(raw, seen) for raw, seen in studies], truth)
        found.append(row)
    return found


def fit_weights(studies: Sequence[FitStudy], owner_powers: Sequence[float] = POWERS) -> BoxWeights:
    """`fit_box_weights` from the boxes themselves."""
    rows = [
        (gather_evidence(one.raw, one.seen.vertebra_probs), one.seen.vertebra_probs, one.target)
        for one in studies
    ]
    return fit_box_weights(rows, owners=owner_powers)


def _fit_with_owners(studies: Sequence[FitStudy], owner_powers: Sequence[float] = POWERS) -> Read:
    weights = fit_weights(studies, owner_powers)
    return lambda raw, seen: box_outputs(raw, seen, weights)


def _fit_without_owners(studies: Sequence[FitStudy]) -> Read:
    return _fit_with_owners(studies, (0.0,))


def _fit_slices(studies: Sequence[FitStudy]) -> Read:
    rows = [
        (_best_boxes(one.raw, one.seen), one.seen.vertebra_probs, one.target) for one in studies
    ]
    context = fit_context(rows, top_k=TOP_K, shared=False)

    def read(raw: RawDetections, seen: SlicePredictions) -> SlicePredictions:
        probs = in_context(_best_boxes(raw, seen), seen.vertebra_probs, context, shared=False)
        return replace(seen, fracture_probs=probs, fracture_type=BOXES_TYPE)

    return read


_READINGS: Final[Mapping[str, Callable[[Sequence[FitStudy]], Read]]] = {
    "the three best slices of a vertebra, whoever is in view": _fit_slices,
    "tracks as a noisy or, whoever is in view": _fit_without_owners,
    "tracks as a noisy or, by owner": _fit_with_owners,
}


def _best_boxes(raw: RawDetections, seen: SlicePredictions) -> NDArray[np.float32]:
    """f_ij where a slice's best box is everyone's, float32 (n, 7)."""
    scores = gather_evidence(raw, seen.vertebra_probs).slices
    return np.repeat(scores[:, np.newaxis], N_VERTEBRAE, axis=1).astype(np.float32)


def _areas(outputs: Sequence[SlicePredictions], truth: TruthTable) -> dict[str, float | None]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outputs.parquet"
        write_slices(file, outputs, folds={})
        report = evaluate_scores(read_score_table(file, "boxes"), truth, replicates=1)
    return {level: getattr(report, level).metrics.auc for level in JUDGED}
