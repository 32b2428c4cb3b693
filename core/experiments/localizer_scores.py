"""The shipped localiser judged as a fracture model: slice, vertebra and patient level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from core.constants import VERTEBRAE
from core.evaluation.detection.files import BoxTables
from core.evaluation.report import ChosenOn, EvaluationReport, evaluate_scores
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.experiments.box_evidence_ablation import JUDGED, FitStudy, compare_readings, fit_weights
from core.experiments.shipped_scores import HELD_OUT, OUT_OF_FOLD, PREDICTIONS_FOLDER
from core.inference.boxes.evidence import box_outputs
from core.inference.outputs import read_slices, write_slices
from core.models.bundles import (
    COHORTS_FOLDER,
    CONFIG_FILE,
    OPERATING_POINTS_FILE,
    BoxWeights,
    BundleInfo,
)
from core.system.atomic_files import write_json, write_text
from core.types import LevelName, SlicePredictions

TRAINING: Final = "training"
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
    cohorts = bundle.folder.parent / COHORTS_FOLDER
    folder = bundle.folder / PREDICTIONS_FOLDER
    seen = {table: _seen(vertebra, table) for table in (OUT_OF_FOLD, HELD_OUT)}
    fitted_on = _fit_studies(training, seen[OUT_OF_FOLD], cohorts)
    weights = fit_weights(fitted_on)
    # A context would be a fracture network's.
    config = bundle.config.model_copy(update={"box_weights": weights, "context": None})
    write_text(bundle.folder / CONFIG_FILE, config.model_dump_json(indent=2) + "\n")
    folds = _folds(vertebra)
    boxes = {
        table: [(raw, seen[table][raw.study_id]) for raw in cohort.raw]
        for table, cohort in ((OUT_OF_FOLD, training), (HELD_OUT, held_out))
    }
    for table, studies in boxes.items():
        outputs = [box_outputs(raw, known, weights) for raw, known in studies]
        write_slices(
            folder / f"{table}.parquet", outputs, folds=folds if table == OUT_OF_FOLD else {}
        )
    say("Other ways to read the same boxes")
    truths = {OUT_OF_FOLD: TRAINING, HELD_OUT: HELD_OUT}
    readings = compare_readings(
        fitted_on,
        {
            table: (studies, read_truth_table(cohorts / f"{truths[table]}.parquet"))
            for table, studies in boxes.items()
        },
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
        folder / LEVELS_FILE,
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
    cohorts, folder = bundle.folder.parent / COHORTS_FOLDER, bundle.folder / PREDICTIONS_FOLDER
    chosen_on = ChosenOn(
        read_score_table(folder / f"{OUT_OF_FOLD}.parquet", "boxes"),
        read_truth_table(cohorts / f"{TRAINING}.parquet"),
    )
    return evaluate_scores(
        read_score_table(folder / f"{HELD_OUT}.parquet", "boxes"),
        read_truth_table(cohorts / f"{HELD_OUT}.parquet"),
        chosen_on=chosen_on,
    )


def _level(report: EvaluationReport, level: LevelName) -> Any:  # noqa: ANN401 - a LevelReport
    return getattr(report, level)


def _seen(vertebra: BundleInfo, table: str) -> dict[str, SlicePredictions]:
    """By study, the stored predictions of the vertebra bundle."""
    file = vertebra.folder / PREDICTIONS_FOLDER / f"{table}.parquet"
    return {study.study_id: study for study in read_slices(file)}


def _fit_studies(
    cohort: BoxTables, seen: Mapping[str, SlicePredictions], cohorts: Path
) -> list[FitStudy]:
    truth = pd.read_parquet(cohorts / f"{TRAINING}.parquet").set_index("study_id")
    slices = pd.read_parquet(cohorts / f"{TRAINING}_slices.parquet")
    present = {
        str(name): rows.sort_values("slice_index")[[f"present_{v}" for v in VERTEBRAE]]
        for name, rows in slices.groupby("study_id", observed=True)
    }
    labels = truth[[f"y_{v}" for v in VERTEBRAE]].astype(bool)
    return [
        FitStudy(
            raw,
            seen[raw.study_id],
            present[raw.study_id].to_numpy(bool) & labels.loc[raw.study_id].to_numpy(bool),
        )
        for raw in cohort.raw
        if raw.study_id in present
    ]


def _folds(vertebra: BundleInfo) -> Mapping[str, int]:
    """The folds of the training cohort, as the vertebra bundle's table has them."""
    table = pd.read_parquet(
        vertebra.folder / PREDICTIONS_FOLDER / f"{OUT_OF_FOLD}.parquet",
        columns=["study_id", "fold"],
    ).drop_duplicates()
    return {str(row["study_id"]): int(row["fold"]) for row in table.to_dict("records")}
