"""The shipped localiser judged as a fracture model: slice, vertebra and patient level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from core.atomic import write_json, write_text
from core.constants import VERTEBRAE
from core.demo_scores import HELD_OUT, OUT_OF_FOLD, PREDICTIONS_FOLDER, TOP_K
from core.evaluation.box_files import BoxCohort
from core.evaluation.levels import LevelName
from core.evaluation.report import ChosenOn, EvaluationReport, evaluate_scores
from core.evaluation.score_files import read_score_table, read_truth_table
from core.inference.box_evidence import box_outputs, with_context
from core.inference.context import fit_context
from core.inference.outputs import read_slices, write_slices
from core.models.bundles import (
    COHORTS_FOLDER,
    CONFIG_FILE,
    OPERATING_POINTS_FILE,
    BundleInfo,
    VertebraContext,
)
from core.types import SlicePredictions

TRAINING: Final = "training"
LEVELS_FILE: Final = "levels.json"
_JUDGED: Final[tuple[LevelName, ...]] = ("slice", "vertebra", "patient")


@dataclass(frozen=True, slots=True, eq=False)
class JudgedBoxes:
    """What a localiser is worth as a fracture model.

    Attributes:
        context: Fitted on the training cohort.
        held_out: Measured at thresholds that were chosen on the training cohort.
        studies: Of the training cohort, none of which the localiser has learnt from.
    """

    context: VertebraContext
    held_out: EvaluationReport
    studies: int


def judge_boxes(
    bundle: BundleInfo,
    vertebra: BundleInfo,
    training: BoxCohort,
    held_out: BoxCohort,
    say: Callable[[str], None] = lambda _: None,
) -> JudgedBoxes:
    """Write a localiser's predictions of both cohorts, its thresholds and figures.

    The training cohort is the one that the fracture networks were cross-validated on; a localiser
    has learnt from another, so its boxes there are those of new studies. The context of a vertebra
    and the thresholds are chosen on it and applied to the held-out cohort.

    Args:
        bundle: The localiser; its folder gains two tables, a context, operating points and
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
    outputs = {
        OUT_OF_FOLD: _outputs(vertebra, OUT_OF_FOLD, training),
        HELD_OUT: _outputs(vertebra, HELD_OUT, held_out),
    }
    context = _context(outputs[OUT_OF_FOLD], cohorts)
    config = bundle.config.model_copy(update={"context": context})
    write_text(bundle.folder / CONFIG_FILE, config.model_dump_json(indent=2) + "\n")
    folds = _folds(vertebra)
    for name, studies in outputs.items():
        joined = [with_context(study, context) for study in studies]
        write_slices(folder / f"{name}.parquet", joined, folds=folds if name == OUT_OF_FOLD else {})
    report = measure_levels(bundle)
    points: dict[str, Any] = dict(bundle.operating_points or {})
    for level in _JUDGED:
        found = _level(report, level)
        points[level] = {
            "threshold": found.operating_point.threshold, "rule": found.operating_point.rule,
            "chosen_on": f"{len(training.raw)} studies of the training cohort",
        }  # fmt: skip
    write_json(bundle.folder / OPERATING_POINTS_FILE, points)
    judged = JudgedBoxes(context, report, len(training.raw))
    write_json(
        folder / LEVELS_FILE,
        {
            "partner": vertebra.folder.name,
            "context": context.model_dump(),
            "chosen_on_studies": judged.studies,
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


def _outputs(vertebra: BundleInfo, table: str, cohort: BoxCohort) -> list[SlicePredictions]:
    seen = {
        study.study_id: study
        for study in read_slices(vertebra.folder / PREDICTIONS_FOLDER / f"{table}.parquet")
    }
    return [box_outputs(raw, seen[raw.study_id]) for raw in cohort.raw]


def _context(outputs: Sequence[SlicePredictions], cohorts: Path) -> VertebraContext:
    truth = pd.read_parquet(cohorts / f"{TRAINING}.parquet").set_index("study_id")
    slices = pd.read_parquet(cohorts / f"{TRAINING}_slices.parquet")
    present = {
        str(name): rows.sort_values("slice_index")[[f"present_{v}" for v in VERTEBRAE]]
        for name, rows in slices.groupby("study_id", observed=True)
    }
    labels = truth[[f"y_{v}" for v in VERTEBRAE]].astype(bool)
    rows = [
        (
            study.fracture_probs,
            study.vertebra_probs,
            present[study.study_id].to_numpy(bool) & labels.loc[study.study_id].to_numpy(bool),
        )
        for study in outputs
        if study.study_id in present
    ]
    return fit_context(rows, top_k=TOP_K, shared=False)


def _folds(vertebra: BundleInfo) -> Mapping[str, int]:
    """The folds of the training cohort, as the vertebra bundle's table has them."""
    table = pd.read_parquet(
        vertebra.folder / PREDICTIONS_FOLDER / f"{OUT_OF_FOLD}.parquet",
        columns=["study_id", "fold"],
    ).drop_duplicates()
    return {str(row["study_id"]): int(row["fold"]) for row in table.to_dict("records")}
