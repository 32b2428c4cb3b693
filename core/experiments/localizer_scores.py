"""Scores of the shipped localiser as a fracture model: slice, vertebra and patient level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.evaluation.detection.files import BoxTables
from core.evaluation.report import ChosenOn, EvaluationReport, evaluate_scores
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.evaluation.tables.truth_table import TruthTable
from core.experiments.box_evidence_ablation import (
    SCORED_LEVELS,
    FitStudy,
    compare_methods,
    fit_weights,
)
from core.experiments.cohorts import (
    FOLDS,
    HELD_OUT,
    LEVELS_FILE,
    PREDICTIONS_FOLDER,
    SHIPPED,
    ShippedCohort,
)
from core.inference.boxes.evidence import box_outputs
from core.inference.outputs import read_slices, write_slices
from core.models.bundles import CONFIG_FILE, OPERATING_POINTS_FILE, BundleInfo
from core.system.atomic_files import write_json, write_text
from core.types import Say, SlicePredictions


def score_localizer(
    bundle: BundleInfo,
    vertebra: BundleInfo,
    training: BoxTables,
    held_out: BoxTables,
    say: Say = lambda _: None,
) -> None:
    """Write a localiser's predictions of both cohorts, its thresholds and figures.

    The training cohort is the one that the fracture networks were cross-validated on; the localiser
    was trained on another, so these studies are new to it. The weights of the boxes and the
    thresholds are chosen on it and applied to the held-out cohort.

    Args:
        bundle: The localiser; two tables, weights, operating points and `levels.json` are written
            to its folder.
        vertebra: The vertebra bundle whose shipped presence is combined with the boxes.
        training: Raw boxes of the training cohort.
        held_out: Raw boxes of the held-out cohort.
        say: Called with the name of each step.

    Raises:
        PredictionsError: The vertebra bundle has no predictions of a study.
    """
    say("The localiser as a fracture model")
    checkpoints = bundle.folder.parent
    seen = {cohort: stored_predictions(vertebra, cohort) for cohort in SHIPPED}
    truths = {cohort: read_truth_table(cohort.truth_file(checkpoints)) for cohort in SHIPPED}
    fitted_on = _fit_studies(training, seen[FOLDS], truths[FOLDS])
    weights = fit_weights(fitted_on)
    # Only fracture networks have a context.
    config = bundle.config.model_copy(update={"box_weights": weights, "context": None})
    write_text(bundle.folder / CONFIG_FILE, config.model_dump_json(indent=2) + "\n")
    boxes = {
        cohort: [(raw, seen[cohort][raw.study_id]) for raw in tables.raw]
        for cohort, tables in ((FOLDS, training), (HELD_OUT, held_out))
    }
    for cohort, studies in boxes.items():
        outputs = [box_outputs(raw, known, weights) for raw, known in studies]
        folds = _folds(vertebra) if cohort is FOLDS else {}
        write_slices(cohort.predictions_file(bundle.folder), outputs, folds=folds)
    say("Other methods for the same boxes")
    methods = compare_methods(
        fitted_on,
        {cohort.table: (studies, truths[cohort]) for cohort, studies in boxes.items()},
    )
    report = measure_levels(bundle)
    points: dict[str, Any] = dict(bundle.operating_points or {})
    for level in SCORED_LEVELS:
        found = report.levels[level]
        points[level] = {
            "threshold": found.operating_point.threshold, "rule": found.operating_point.rule,
            "chosen_on": f"{len(training.raw)} studies of the training cohort",
        }  # fmt: skip
    write_json(bundle.folder / OPERATING_POINTS_FILE, points)
    write_json(
        bundle.folder / PREDICTIONS_FOLDER / LEVELS_FILE,
        {
            "partner": vertebra.folder.name,
            "weights": weights.model_dump(),
            "chosen_on_studies": len(training.raw),
            "readings": methods,
            "held_out": report.to_json(),
        },
    )


def measure_levels(bundle: BundleInfo) -> EvaluationReport:
    """Measure the stored held-out predictions at thresholds chosen on the training cohort.

    Raises:
        PredictionsError: The tables are missing or damaged.
    """
    checkpoints = bundle.folder.parent
    return evaluate_scores(
        read_score_table(HELD_OUT.predictions_file(bundle.folder), "boxes"),
        read_truth_table(HELD_OUT.truth_file(checkpoints)),
        chosen_on=ChosenOn(
            read_score_table(FOLDS.predictions_file(bundle.folder), "boxes"),
            read_truth_table(FOLDS.truth_file(checkpoints)),
        ),
    )


def stored_predictions(bundle: BundleInfo, cohort: ShippedCohort) -> dict[str, SlicePredictions]:
    """A bundle's shipped predictions of a cohort by study id."""
    studies = read_slices(cohort.predictions_file(bundle.folder))
    return {study.study_id: study for study in studies}


def _fit_studies(
    boxes: BoxTables, seen: Mapping[str, SlicePredictions], truth: TruthTable
) -> list[FitStudy]:
    """The studies whose slices have truth, with y_ij = y_j v_ij as the target."""
    place = {str(name): k for k, name in enumerate(truth.study_ids)}
    return [
        FitStudy(
            raw,
            seen[raw.study_id],
            truth.presence[truth.offsets[k] : truth.offsets[k + 1]] & truth.fractured[k],
        )
        for raw in boxes.raw
        if (k := place.get(raw.study_id)) is not None and truth.has_slices[k]
    ]


def _folds(vertebra: BundleInfo) -> Mapping[str, int]:
    """The folds of the training cohort, from the vertebra bundle's table."""
    table = read_score_table(FOLDS.predictions_file(vertebra.folder))
    return dict(zip(table.study_ids.tolist(), table.fold.tolist(), strict=True))
