"""The shipped localiser judged as a fracture model: slice, vertebra and patient level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.evaluation.detection.files import BoxTables
from core.evaluation.report import ChosenOn, EvaluationReport, evaluate_scores
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.evaluation.tables.truth_table import TruthTable
from core.experiments.box_evidence_ablation import JUDGED, FitStudy, compare_readings, fit_weights
from core.experiments.cohorts import FOLDS, HELD_OUT, PREDICTIONS_FOLDER, SHIPPED, ShippedCohort
from core.inference.boxes.evidence import box_outputs
from core.inference.outputs import read_slices, write_slices
from core.models.bundles import (
    CONFIG_FILE,
    OPERATING_POINTS_FILE,
    BoxWeights,
    BundleInfo,
)
from core.system.atomic_files import write_json, write_text
from core.types import LevelName, SlicePredictions

LEVELS_FILE: Final = "levels.json"


@dataclass(frozen=True, slots=True, eq=False)
class JudgedBoxes:
    """What a localiser is worth as a fracture model.

    Attributes:
        weights: Fitted on the training cohort.
        held_out: Measured at thresholds that were chosen on the training cohort.
        studies: Of the training cohort, none of which the localiser has learnt from.
    """

    weights: BoxWeights
    held_out: EvaluationReport
    studies: int


def judge_boxes(
    bundle: BundleInfo,
    vertebra: BundleInfo,
    training: BoxTables,
    held_out: BoxTables,
    say: Callable[[str], None] = lambda _: None,
) -> JudgedBoxes:
    """Write a localiser's predictions of both cohorts, its thresholds and figures.

    The training cohort is the one that the fracture networks were cross-validated on; a localiser
    has learnt from another, so its boxes there are those of new studies. The weights of the boxes
    and the thresholds are chosen on it and applied to the held-out cohort.

    Args:
        bundle: The localiser; its folder gains two tables, weights, operating points and
            `levels.json`.
        vertebra: The vertebra bundle whose presence in git is laid under the boxes.
        training: Raw boxes of the training cohort.
        held_out: Raw boxes of the held-out cohort.
        say: Told what is done next.

    Raises:
        PredictionsError: The vertebra bundle has no predictions of a study.
    """
    say("The localiser as a fracture model")
    checkpoints = bundle.folder.parent
    seen = {cohort: _seen(vertebra, cohort) for cohort in SHIPPED}
    truths = {cohort: read_truth_table(cohort.truth_file(checkpoints)) for cohort in SHIPPED}
    fitted_on = _fit_studies(training, seen[FOLDS], truths[FOLDS])
    weights = fit_weights(fitted_on)
    # A context would be a fracture network's.
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
    say("Other ways to read the same boxes")
    readings = compare_readings(
        fitted_on,
        {cohort.table: (studies, truths[cohort]) for cohort, studies in boxes.items()},
    )
    report = measure_levels(bundle)
    points: dict[str, Any] = dict(bundle.operating_points or {})
    for level in JUDGED:
        found = _level(report, level)
        points[level] = {
            "threshold": found.operating_point.threshold, "rule": found.operating_point.rule,
            "chosen_on": f"{len(training.raw)} studies of the training cohort",
        }  # fmt: skip
    write_json(bundle.folder / OPERATING_POINTS_FILE, points)
    judged = JudgedBoxes(weights, report, len(training.raw))
    write_json(
        bundle.folder / PREDICTIONS_FOLDER / LEVELS_FILE,
        {
            "partner": vertebra.folder.name,
            "weights": weights.model_dump(),
            "chosen_on_studies": judged.studies,
            "readings": readings,
            "held_out": report.to_json(),
        },
    )
    return judged


def measure_levels(bundle: BundleInfo) -> EvaluationReport:
    """Measure the stored held-out predictions at thresholds chosen on the training cohort.

    Raises:
        PredictionsError: The tables are missing or broken.
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


def _level(report: EvaluationReport, level: LevelName) -> Any:  # noqa: ANN401 - a LevelReport
    return getattr(report, level)


def _seen(vertebra: BundleInfo, cohort: ShippedCohort) -> dict[str, SlicePredictions]:
    """By study, the stored predictions of the vertebra bundle."""
    studies = read_slices(cohort.predictions_file(vertebra.folder))
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
    """The folds of the training cohort, as the vertebra bundle's table has them."""
    table = read_score_table(FOLDS.predictions_file(vertebra.folder))
    return dict(zip(table.study_ids.tolist(), table.fold.tolist(), strict=True))
