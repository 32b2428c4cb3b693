"""The shipped localiser: trained again, scored on held-out synthetic studies, step by step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd

from core.atomic import atomic_path, write_json, write_text
from core.config import PROJECT_ROOT, Settings, load_run_config
from core.constants import SYNTHETIC_WARNING, VERTEBRAE
from core.data.box_slices import BoxSlices, load_box_slices
from core.data.dicom_series import read_series
from core.data.masks import load_vertebra_mask
from core.data.phantom.cohort import write_cohort
from core.data.rsna import read_studies
from core.data.splits import assign_folds
from core.evaluation.box_files import (
    BoxCohort,
    fused_table,
    read_box_cohort,
    truth_table,
    write_box_cohort,
)
from core.evaluation.detection import DetectionReport, evaluate_detection
from core.inference.box_tracks import FusionSettings
from core.models.bundles import METRICS_FILE, OPERATING_POINTS_FILE, BundleInfo, read_bundle
from core.preprocessing.box_geometry import boxes_from_square
from core.types import RawDetections, StudyRecord

CONFIG: Final = PROJECT_ROOT / "configs" / "localization" / "mobilenet_v3_large.yaml"
NAME: Final = "localization_mobilenet_v3_large"
PREDICTIONS: Final = "predictions"
FALSE_PER_STUDY: Final = 8.0
THRESHOLD_STUDIES: Final = 8
"""Of the validation fold; the threshold is chosen on them and never on the held-out studies."""
REPLICATES: Final = 300
TRAINING_COHORT: Final = (480, 11)
HELD_OUT_COHORT: Final = (120, 23)
_EDGES: Final = ("left", "top", "right", "bottom")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table that tells what each step brings.

    Attributes:
        name: For the reader.
        settings: Of the fusion.
        mirrored: Whether the mirrored pass takes part.
    """

    name: str
    settings: FusionSettings
    mirrored: bool = True


_PLAIN: Final = FusionSettings(
    method="nms", iou=0.5, neighbour_weight=0.0, track_iou=0.0, track_share=0.0
)
STEPS: Final = (
    Step("one pass, NMS", _PLAIN, mirrored=False),
    Step("one pass, soft-NMS", replace(_PLAIN, method="soft-nms"), mirrored=False),
    Step("+ mirrored pass, weighted boxes fusion", replace(_PLAIN, method="wbf")),
    Step("+ slices above and below", replace(_PLAIN, method="wbf", neighbour_weight=0.5)),
    Step("+ tracks along z", FusionSettings()),
)
"""From the network alone to what `predict` writes."""


def build_localizer(
    settings: Settings,
    work: Path,
    *,
    score_only: bool = False,
    studies: int = HELD_OUT_COHORT[0],
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> BundleInfo:
    """Train the shipped localiser, score it on held-out studies and write the bundle.

    Args:
        settings: Where bundles and caches lie.
        work: Folder of the cohorts and of the run; finished parts are taken over.
        score_only: Train nothing, score the bundle again.
        studies: Held-out studies to measure on, the first by study id.
        progress: Called with (done, total) of the part at work.
        say: Told what is done next.

    Returns:
        The bundle.

    Raises:
        CSpineError: As its parts raise them.
    """
    roots = {"train": TRAINING_COHORT, "held_out": HELD_OUT_COHORT}
    for name, (count, seed) in roots.items():
        write_cohort(work / name, studies=count, seed=seed, progress=progress)
    target = settings.checkpoints / NAME
    if not score_only:
        from core.training.box_trainer import train_localizer

        say("Training the localiser")
        config = load_run_config(CONFIG, data_root=work / "train")
        made = train_localizer(
            config, work / "runs" / NAME, progress=progress, cache_dir=settings.rsna_cache
        )
        target.mkdir(parents=True, exist_ok=True)
        for file in made.iterdir():
            shutil.copy2(file, target / file.name)
    bundle = read_bundle(target)
    return score_localizer(bundle, work, settings, studies=studies, progress=progress, say=say)


def score_localizer(
    bundle: BundleInfo,
    work: Path,
    settings: Settings,
    *,
    studies: int = HELD_OUT_COHORT[0],
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> BundleInfo:
    """Choose the operating point on the validation fold and measure on the held-out studies.

    Args:
        bundle: A localisation bundle; its metrics, operating point, card and boxes are replaced.
        work: Folder of the cohorts.
        settings: Where caches lie.
        studies: Held-out studies to measure on, the first by study id.
        progress: Called with (studies done, studies in all).
        say: Told what is done next.
    """
    say("Boxes of the validation fold")
    fold = int(bundle.config.trained_on["run"]["fold"])
    records = read_studies(work / "train")
    folds = assign_folds(records, int(bundle.config.trained_on["run"]["folds"]), 7)
    chosen = [r for r in records if folds[r.study_id] == fold][:THRESHOLD_STUDIES]
    tuning = _cohort(bundle, work / "train", chosen, settings, progress)
    final = STEPS[-1].settings
    found = evaluate_detection(
        fused_table(tuning.raw, final), tuning.truth, tuning.n_slices, threshold=0.0, replicates=0
    )
    threshold = round(found.froc_boxes.threshold_at(FALSE_PER_STUDY), 4)
    say("Boxes of the held-out studies")
    held_out = read_studies(work / "held_out")[:studies]
    cohort = _cohort(bundle, work / "held_out", held_out, settings, progress)
    write_box_cohort(bundle.folder / PREDICTIONS, cohort)
    _write_pictures(bundle, held_out, settings)
    write_json(
        bundle.folder / OPERATING_POINTS_FILE,
        {
            "box": {
                "threshold": threshold,
                "rule": f"{FALSE_PER_STUDY:g} false boxes a study",
                "chosen_on": f"{len(chosen)} studies of the validation fold",
            }
        },
    )
    return write_measures(read_bundle(bundle.folder))


def write_measures(bundle: BundleInfo) -> BundleInfo:
    """Measure a bundle's stored boxes again and write its metrics and card.

    Raises:
        PredictionsError: It holds no boxes.
    """
    cohort = read_box_cohort(bundle.folder / PREDICTIONS)
    threshold = float((bundle.operating_points or {})["box"]["threshold"])
    rows = [{"step": step.name, **measures(_report(cohort, step))} for step in STEPS]
    content: dict[str, Any] = {
        "synthetic": True,
        "warning": SYNTHETIC_WARNING,
        "cohort": {
            "train": {"studies": TRAINING_COHORT[0], "seed": TRAINING_COHORT[1]},
            "held_out": {"studies": HELD_OUT_COHORT[0], "seed": HELD_OUT_COHORT[1]},
        },
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
    baseline = bundle.folder / PREDICTIONS / "grad_cam.json"
    if baseline.is_file():
        content["grad_cam"] = json.loads(baseline.read_text())
    write_json(bundle.folder / METRICS_FILE, content)
    write_text(bundle.folder / "MODEL_CARD.md", _card(bundle, content))
    return read_bundle(bundle.folder)


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


def _report(cohort: BoxCohort, step: Step) -> DetectionReport:
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


def _cohort(
    bundle: BundleInfo,
    root: Path,
    records: Sequence[StudyRecord],
    settings: Settings,
    progress: Progress | None,
) -> BoxCohort:
    from core.inference.localization import BoxPredictor

    predictor = BoxPredictor([bundle], device="cpu")
    raw: list[RawDetections] = []
    boxes: list[tuple[int, int, list[float]]] = []
    names: list[tuple[str, str]] = []
    for number, record in enumerate(records):
        study = _prepared(record, bundle, settings)
        raw.append(predictor.predict_prepared(study))
        known = _kinds(root, record) if study.boxes else {}
        for index in sorted(study.boxes):
            on_slice = boxes_from_square(
                study.boxes[index], study.squares[index], bundle.config.size
            )
            boxes += [(number, index, xyxy.tolist()) for xyxy in on_slice]
            names += [known.get(index, ("", ""))] * len(on_slice)
        if progress is not None:
            progress(number + 1, len(records))
    return BoxCohort(
        raw=tuple(raw),
        truth=truth_table(boxes),
        vertebrae=tuple(name for name, _ in names),
        kinds=tuple(kind for _, kind in names),
    )


def _prepared(record: StudyRecord, bundle: BundleInfo, settings: Settings) -> BoxSlices:
    config = bundle.config
    return load_box_slices(
        record, window=config.window, field_mm=config.field_mm or 0.0, size=config.size,
        cache_dir=settings.rsna_cache,
    )  # fmt: skip


def _write_pictures(bundle: BundleInfo, records: Sequence[StudyRecord], settings: Settings) -> None:
    """Keep the squares that carry a true box as JPEG, for the page's gallery."""
    rows: list[dict[str, Any]] = []
    for record in records:
        if not record.boxes:
            continue
        study = _prepared(record, bundle, settings)
        for index in sorted(study.boxes):
            done, encoded = cv2.imencode(
                ".jpg", np.array(study.images[index]), [cv2.IMWRITE_JPEG_QUALITY, 88]
            )
            square = dict(
                zip(("left", "top", "right", "bottom"), study.squares[index], strict=True)
            )
            if done:
                rows.append(
                    {"study_id": record.study_id, "slice_index": index, **square,
                     "jpeg": encoded.tobytes()}
                )  # fmt: skip
    with atomic_path(bundle.folder / PREDICTIONS / "pictures.parquet") as temporary:
        pd.DataFrame(rows).to_parquet(temporary, index=False)


def _kinds(root: Path, record: StudyRecord) -> dict[int, tuple[str, str]]:
    """By slice, the vertebrae whose fracture lines cross it and the kinds of those fractures."""
    truth = json.loads((root / "phantom_truth" / f"{record.study_id}.json").read_text())
    lines = load_vertebra_mask(
        root / "fracture_masks" / f"{record.study_id}.nii.gz", read_series(record.folder)
    )
    found: dict[int, tuple[str, str]] = {}
    for index, labels in enumerate(lines):
        broken = [VERTEBRAE[label - 1] for label in np.unique(labels) if 1 <= label <= 7]
        kinds = {str(one["kind"]) for one in truth["fractures"] if one["vertebra"] in broken}
        if broken:
            found[index] = ("+".join(broken), "+".join(sorted(kinds)))
    return found


def _card(bundle: BundleInfo, content: dict[str, Any]) -> str:
    run, held = bundle.config.trained_on["run"], content["held_out"]
    low, high = held["mean_iou_best_scored_interval"] or (float("nan"), float("nan"))
    return (
        f"# {bundle.config.name}\n\n"
        "Says where on a slice a fracture is: boxes with a score. Faster R-CNN with a feature "
        f"pyramid from stride 4 on {bundle.config.backbone}, over a square of "
        f"{bundle.config.field_mm:g} mm that follows the spine, {bundle.config.size} pixels wide, "
        f"channels: {bundle.config.channels}.\n\n"
        f"**{SYNTHETIC_WARNING}**\n\n"
        f"Trained on {bundle.config.trained_on['studies']} synthetic studies with "
        f"{bundle.config.trained_on['boxes']} boxes for {run['epochs']} epochs, on one CPU core. "
        f"Measured on {content['measured_on']['studies']} others "
        f"({content['measured_on']['boxes']} boxes):\n\n"
        "| figure | value |\n|---|---|\n"
        f"| mean IoU of the best-scored box | {held['mean_iou_best_scored']:.3f} "
        f"({low:.3f}–{high:.3f}) |\n"
        f"| centre of that box inside the true one | {held['hit_rate']:.3f} |\n"
        f"| true boxes found at one false box a study | "
        f"{held['box_sensitivity_at_1_false_box_a_study']:.3f} |\n"
        f"| fractures found at one false track a study | "
        f"{held['fracture_sensitivity_at_1_false_track_a_study']:.3f} |\n\n"
        f"Boxes count from a score of {content['threshold']:g}, chosen on the validation fold for "
        f"{FALSE_PER_STUDY:g} false boxes a study. Made by `python -m core demo-localizer`.\n"
    )
