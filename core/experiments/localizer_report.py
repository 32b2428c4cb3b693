"""Metrics and model card of the shipped localiser, step by step."""

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
    write_text(bundle.folder / MODEL_CARD_FILE, _card(bundle, content))
    return read_bundle(bundle.folder)


def _gated(cohort: BoxTables, slice_model: BundleInfo) -> dict[str, Any]:
    """The final step, with boxes only on slices that the slice model calls fractured."""
    threshold = operating_point(slice_model, "slice").threshold
    settings = replace(STEPS[-1].settings, slice_threshold=threshold)
    found = fused_table(cohort.raw, settings, slice_probabilities(slice_model, cohort))
    report = evaluate_detection(
        found, cohort.truth, cohort.n_slices, threshold=0.0, replicates=REPLICATES
    )
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
    # Every box counts: scores of different steps mean different things.
    last = step is STEPS[-1]
    return evaluate_detection(
        fused_table(raw, step.settings), cohort.truth, cohort.n_slices,
        threshold=0.0, replicates=REPLICATES if last else 0,
    )  # fmt: skip


def _first_pass(study: RawDetections) -> RawDetections:
    own = study.source == 0
    return replace(
        study, slice_index=study.slice_index[own], xyxy=study.xyxy[own],
        scores=study.scores[own], source=study.source[own], n_sources=1,
    )  # fmt: skip


def heat_measures(heat: BoxTable, cohort: BoxTables, slice_model: str) -> dict[str, Any]:
    """Measures of overlap only: the slices are given, so false positives are meaningless."""
    report = evaluate_detection(
        heat, cohort.truth, cohort.n_slices, threshold=0.0, replicates=REPLICATES
    )
    wanted = ("mean_iou_best_scored", "mean_iou_best_scored_interval", "hit_rate",
              "hit_rate_interval")  # fmt: skip
    found = measures(report)
    return {"bundle": slice_model} | {name: found[name] for name in wanted}


def stages_before(bundle: BundleInfo) -> str:
    """A localiser's training before its last stage, as the end of a sentence; or ""."""
    stages = bundle.config.trained_on.get("earlier_stages", [])
    described = [f"{stage['epochs']} epochs on {stage['studies']} studies" for stage in stages]
    return f" after {' and '.join(described)}" if described else ""


def _card(bundle: BundleInfo, content: dict[str, Any]) -> str:
    run, held = bundle.config.trained_on["run"], content["held_out"]
    how = bundle.config.preparation
    low, high = held["mean_iou_best_scored_interval"] or (float("nan"), float("nan"))
    return (
        f"# {bundle.config.name}\n\n"
        "Localises fractures on slices by boxes with scores. Faster R-CNN with a feature "
        f"pyramid from stride 4 on {bundle.config.backbone}, over a square of "
        f"{how.field_mm:g} mm that follows the spine, {how.size} pixels wide, "
        f"channels: {how.channels}.\n\n"
        f"**{SYNTHETIC_WARNING}**\n\n"
        f"Trained on {bundle.config.trained_on['studies']} synthetic studies with "
        f"{bundle.config.trained_on['boxes']} boxes for {run['epochs']} epochs"
        f"{stages_before(bundle)}, on one CPU core. "
        f"Measured on {content['measured_on']['studies']} others "
        f"({content['measured_on']['boxes']} boxes):\n\n"
        "| figure | value |\n|---|---|\n"
        f"| mean IoU of the best-scored box | {held['mean_iou_best_scored']:.3f} "
        f"({low:.3f}–{high:.3f}) |\n"
        f"| centre of that box inside the true one | {held['hit_rate']:.3f} |\n"
        f"| true boxes found at one false box per study | "
        f"{held['box_sensitivity_at_1_false_box_a_study']:.3f} |\n"
        f"| fractures found at one false track per study | "
        f"{held['fracture_sensitivity_at_1_false_track_a_study']:.3f} |\n\n"
        f"The score threshold is {content['threshold']:g}, chosen on "
        f"{FOLDS.studies} other studies for {BOX_RULE}. "
        "Made by `python -m core demo-localizer`.\n"
    )
