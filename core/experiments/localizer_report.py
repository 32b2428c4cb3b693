"""Metrics of the shipped localiser, step by step."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from core.constants import SYNTHETIC_WARNING
from core.evaluation.detection.files import BoxTables, fused_table, read_box_cohort
from core.evaluation.detection.matching import BoxTable
from core.evaluation.detection.report import DetectionReport, evaluate_detection
from core.experiments.cohorts import BOXES, FOLDS, HELD_OUT, PREDICTIONS_FOLDER
from core.experiments.localizer_baselines import slice_probabilities
from core.inference.boxes.tracks import FusionSettings
from core.models.bundles import METRICS_FILE, MODEL_CARD_FILE, BundleInfo, read_bundle
from core.models.operating_points import operating_point
from core.system.atomic_files import write_json, write_text
from core.training.trainer import TRAINING_TASKS
from core.types import RawDetections

HEAT_FILE: Final = "grad_cam.json"
FALSE_PER_STUDY: Final = 1.0
"""False boxes per study at the operating point and at the quoted sensitivity."""
BOX_RULE: Final = "one false box per study"
REPLICATES: Final = 300


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table that shows the effect of each step.

    Attributes:
        name: Name for display.
        settings: Settings of the fusion.
        mirrored: Whether the mirrored pass takes part.
    """

    name: str
    settings: FusionSettings
    mirrored: bool = True


_PLAIN: Final = FusionSettings(
    method="nms", score_rule="average", neighbour_weight=0.0, track_iou=0.0, track_share=0.0
)
STEPS: Final = (
    Step("one pass, NMS", _PLAIN, mirrored=False),
    Step("one pass, soft-NMS", replace(_PLAIN, method="soft-nms"), mirrored=False),
    Step("+ mirrored pass, weighted boxes fusion", replace(_PLAIN, method="wbf")),
    Step("+ slices above and below", replace(_PLAIN, method="wbf", neighbour_weight=0.5)),
    Step("+ tracks along z", FusionSettings(score_rule="average")),
    Step("+ the highest score of a fused box, not the mean", FusionSettings()),
)
"""From the network alone to what `predict` writes."""


def write_measures(bundle: BundleInfo, slice_model: BundleInfo) -> BundleInfo:
    """Measure a bundle's stored boxes again and write its metrics and card.

    Args:
        bundle: The localiser.
        slice_model: The fracture bundle whose slice probabilities gate the boxes in one row.

    Raises:
        PredictionsError: The localiser has no stored boxes.
    """
    cohort = read_box_cohort(bundle.folder / PREDICTIONS_FOLDER)
    threshold = operating_point(bundle, "box").threshold
    rows = [{"step": step.name, **measures(_report(cohort, step))} for step in STEPS]
    content: dict[str, Any] = {
        "synthetic": True,
        "warning": SYNTHETIC_WARNING,
        "epoch": bundle.config.trained_on.get("epoch"),
        "cohort": {"train": BOXES.made_from(), HELD_OUT.name: HELD_OUT.made_from()},
        "measured_on": {
            "studies": len(cohort.raw),
            "slices": int(cohort.n_slices.sum()),
            "boxes": len(cohort.truth),
        },
        "headline": _headline(rows[-1], len(cohort.raw)),
        "threshold": threshold,
        "held_out": rows[-1],
        "steps": rows,
    }
    content["gated"] = _gated(cohort, slice_model)
    baseline = bundle.folder / PREDICTIONS_FOLDER / HEAT_FILE
    if baseline.is_file():
        content["grad_cam"] = json.loads(baseline.read_text())
    write_json(bundle.folder / METRICS_FILE, content)
    chosen_on = {"studies": FOLDS.studies, "rule": BOX_RULE}
    card = TRAINING_TASKS[bundle.config.task].card(bundle, content | {"chosen_on": chosen_on})
    write_text(bundle.folder / MODEL_CARD_FILE, card)
    return read_bundle(bundle.folder)


def _gated(cohort: BoxTables, slice_model: BundleInfo) -> dict[str, Any]:
    """The final step, with boxes only on slices that the slice model calls fractured."""
    threshold = operating_point(slice_model, "slice").threshold
    settings = replace(STEPS[-1].settings, slice_threshold=threshold)
    found = fused_table(cohort.raw, settings, slice_probabilities(slice_model, cohort))
    report = report_of(found, cohort)
    return {"bundle": slice_model.folder.name, "slice_threshold": threshold, **measures(report)}


def _headline(final: dict[str, Any], n_patients: int) -> dict[str, Any]:
    low, high = final["mean_iou_best_scored_interval"] or (None, None)
    return {
        "name": "mean IoU of the best-scored box",
        "value": final["mean_iou_best_scored"],
        "low": low,
        "high": high,
        "n_patients": n_patients,
    }


def measures(report: DetectionReport) -> dict[str, Any]:
    """The figures of a report as JSON values."""

    def interval(name: str) -> list[float] | None:
        found = report.intervals.get(name)
        return None if found is None else [round(found.low, 4), round(found.high, 4)]

    return {
        "mean_iou_best_scored": round(report.mean_top_iou, 4),
        "mean_iou_best_scored_interval": interval("mean_top_iou"),
        "mean_iou_best_overlap": round(report.mean_best_iou, 4),
        "hit_rate": round(report.hit_rate, 4),
        "hit_rate_interval": interval("hit_rate"),
        "average_precision": {
            f"{level.iou:g}": round(level.average_precision, 4) for level in report.levels
        },
        "mean_average_precision": round(report.mean_average_precision, 4),
        "box_sensitivity_at_1_false_box_a_study": round(report.froc_boxes.sensitivity_at(1.0), 4),
        "box_sensitivity_interval": interval("froc_boxes"),
        "fracture_sensitivity_at_1_false_track_a_study": round(
            report.froc_fractures.sensitivity_at(1.0), 4
        ),
        "fracture_sensitivity_interval": interval("froc_fractures"),
        "true_fractures": report.true_fractures,
    }


def _report(cohort: BoxTables, step: Step) -> DetectionReport:
    raw = cohort.raw if step.mirrored else [_first_pass(study) for study in cohort.raw]
    found = fused_table(raw, step.settings)
    return report_of(found, cohort, replicates=REPLICATES if step is STEPS[-1] else 0)


def report_of(
    found: BoxTable, cohort: BoxTables, *, replicates: int = REPLICATES
) -> DetectionReport:
    """Measure boxes on a cohort; every box counts, as scores of two methods mean two things."""
    return evaluate_detection(
        found, cohort.truth, cohort.n_slices, threshold=0.0, replicates=replicates
    )


def _first_pass(study: RawDetections) -> RawDetections:
    own = study.source == 0
    return replace(
        study, slice_index=study.slice_index[own], xyxy=study.xyxy[own],
        scores=study.scores[own], source=study.source[own], n_sources=1,
    )  # fmt: skip


def heat_measures(heat: BoxTable, cohort: BoxTables, slice_model: str) -> dict[str, Any]:
    """Measures of overlap only: the slices are given, so false positives are meaningless."""
    wanted = ("mean_iou_best_scored", "mean_iou_best_scored_interval", "hit_rate",
              "hit_rate_interval")  # fmt: skip
    found = measures(report_of(heat, cohort))
    return {"bundle": slice_model} | {name: found[name] for name in wanted}
