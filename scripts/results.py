"""Write the figures of the shipped bundles into README.md and the pages of results in docs/.

`python -m scripts.results` reads `checkpoints/*/metrics.json`, which `make demo-models` writes, and
replaces what stands between the markers. With `--check` it only checks whether they are up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.config import PROJECT_ROOT
from core.evaluation.tables.score_files import read_truth_table
from core.experiments.cohorts import FOLDS, HELD_OUT, LEVELS_FILE, PREDICTIONS_FOLDER
from core.experiments.real_scan_text import (
    level_table,
    scan_table,
    segmenter_table,
    stored_checks,
)
from core.experiments.shipped_localizer import NAME as LOCALIZER
from core.models.bundles import BundleInfo, list_bundles, read_bundle
from core.models.pairs import find_segmenters
from core.system.atomic_files import write_text
from core.training.box_card import stages_before
from core.training.grid_card import measures_table, sources_text
from scripts.results_experiments import abstention_table, experiment_tables

BEGIN = "<!-- figures: begin (python -m scripts.results) -->"
END = "<!-- figures: end -->"
EXPERIMENTS_BEGIN = "<!-- experiments: begin (python -m scripts.results) -->"
REAL_BEGIN = "<!-- real scans: begin (python -m scripts.results) -->"
REAL_END = "<!-- real scans: end -->"
ABSTENTION_BEGIN = "<!-- abstention: begin (python -m scripts.results) -->"
ABSTENTION_END = "<!-- abstention: end -->"
SEGMENTATION_BEGIN = "<!-- segmentation: begin (python -m scripts.results) -->"
SEGMENTATION_END = "<!-- segmentation: end -->"
EXPERIMENTS_END = "<!-- experiments: end -->"
README = PROJECT_ROOT / "README.md"
RESULTS = PROJECT_ROOT / "docs" / "results.md"
LOCALISATION = PROJECT_ROOT / "docs" / "results_localisation.md"


def figure(level: Mapping[str, Any] | None, name: str = "auc") -> str:
    """A figure with its 95 % interval, or a dash."""
    if not level or level.get(name) is None:
        return "–"
    interval = level["intervals"].get(name)
    tail = f" ({interval[0]:.3f}–{interval[1]:.3f})" if interval else ""
    return f"{level[name]:.3f}{tail}"


def scored_bundles() -> list[BundleInfo]:
    """The shipped vertebra and fracture networks that have figures."""
    found = list_bundles(PROJECT_ROOT / "checkpoints")
    return [
        bundle for bundle in found
        if bundle.metrics is not None and bundle.config.task in ("vertebra", "fracture")
    ]  # fmt: skip


def readme_table(bundles: list[BundleInfo]) -> str:
    """One row per bundle: its headline figure, and the patient level with its partner."""
    rows = [
        "| bundle | held-out figure | AUC, 95 % interval over patients | patient-level AUC |",
        "|---|---|---|---|",
    ]
    for bundle in bundles:
        metrics = bundle.metrics or {}
        head = metrics["headline"]
        rows.append(
            f"| {bundle.config.name} | {head['name']} | "
            f"{head['value']:.3f} ({head['low']:.3f}–{head['high']:.3f}) | "
            f"{figure(metrics['held_out']['patient'])} |"
        )
    localizer = PROJECT_ROOT / "checkpoints" / LOCALIZER
    found = json.loads((localizer / PREDICTIONS_FOLDER / LEVELS_FILE).read_text())["held_out"]
    rows.append(
        f"| {LOCALIZER}, boxes as evidence | slice fracture AUC | {figure(found['slice'])} | "
        f"{figure(found['patient'])} |"
    )
    return "\n".join(rows)


def results_tables(bundles: list[BundleInfo]) -> str:
    """All levels of both cohorts."""
    parts: list[str] = []
    for key, title in (
        (HELD_OUT.table, "Held-out cohort: measured once, nothing chosen on it"),
        (FOLDS.table, "Out-of-fold predictions: contexts and thresholds were chosen on these"),
    ):
        patients = {(b.metrics or {})[key]["n"]["patients"] for b in bundles}
        studies = ", ".join(str(number) for number in sorted(patients))
        rows = [
            f"### {title} ({studies} studies)", "",
            "| bundle | with | presence AUC | slice AUC | vertebra AUC | patient AUC | recall"
            " (patient) | precision (patient) | weighted log loss |",
            "|---|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        for bundle in bundles:
            metrics = bundle.metrics or {}
            found = metrics[key]
            presence = found["presence"]["pooled"] if found["presence"] else None
            levels = [figure(found[level]) for level in ("slice", "vertebra", "patient")]
            patient = [figure(found["patient"], name) for name in ("recall", "precision")]
            loss = found["competition"]["weighted_log_loss"]
            cells = [bundle.config.name, metrics["partner"], figure(presence), *levels, *patient]
            rows.append(f"| {' | '.join(cells)} | {loss:.3f} |")
        parts.append("\n".join(rows))
    return "\n\n".join([*parts, line_share()])


def line_share() -> str:
    """A sentence on the share of positive slices that have a fracture line."""
    truth = read_truth_table(HELD_OUT.truth_file(PROJECT_ROOT / "checkpoints"))
    fractured = np.repeat(truth.fractured, np.diff(truth.offsets), axis=0)
    positive = (fractured & truth.presence).any(axis=1)
    boxed = np.asarray(truth.boxed)[positive]
    return (
        f"Of the {positive.sum():,} held-out slices on which a fractured vertebra is in view, "
        f"{boxed.mean():.0%} have a box, and so a fracture line."
    )


def localisation_tables(bundle: BundleInfo) -> str:
    """Tables of the localiser: its data, the effect of each step, and baselines."""
    metrics, run = bundle.metrics or {}, bundle.config.trained_on["run"]
    on, held = metrics["measured_on"], metrics["held_out"]
    false_alarms = (bundle.operating_points or {})["box"]
    rows = [
        f"Measured on {on['studies']} held-out studies (seed "
        f"{metrics['cohort']['held_out']['seed']}), {on['slices']:,} slices, {on['boxes']} true "
        f"boxes, {held['true_fractures']} fractures (true boxes linked along z). Trained on "
        f"{bundle.config.trained_on['studies']} studies for {run['epochs']} epochs with "
        f"{run['negatives']:g} slices without a fracture for each boxed one"
        f"{stages_before(bundle)}, of "
        f"{bundle.config.preparation.field_mm:g} mm on {bundle.config.preparation.size} pixels.",
        "",
        "| step | mean IoU | centre inside | AP 0.1 | AP 0.3 | AP 0.5 | boxes found at 1 false box "
        "per study | fractures found at 1 false track per study |",
        "|---|---|---|---|---|---|---|---|",
        *(_box_row(step["step"], step) for step in metrics["steps"]),
    ]  # fmt: skip
    levels = json.loads((bundle.folder / PREDICTIONS_FOLDER / LEVELS_FILE).read_text())
    gated, heat = metrics["gated"], metrics["grad_cam"]
    rows.append(
        _box_row(f"+ only slices that {gated['bundle']} calls (p ≥ "
                 f"{gated['slice_threshold']:.3f})", gated)
    )  # fmt: skip
    rows.append(
        f"| Line map of {heat['bundle']}, slices given | "
        f"{heat['mean_iou_best_scored']:.3f} | {heat['hit_rate']:.3f} | – | – | – | – | – |"
    )
    rows += [
        "",
        f"With 95 % intervals over patients, all steps together: mean IoU "
        f"{_with_interval(held, 'mean_iou_best_scored')}, centre inside "
        f"{_with_interval(held, 'hit_rate')}, boxes found "
        f"{held['box_sensitivity_at_1_false_box_a_study']:.3f} "
        f"{_range(held['box_sensitivity_interval'])}, fractures found "
        f"{held['fracture_sensitivity_at_1_false_track_a_study']:.3f} "
        f"{_range(held['fracture_sensitivity_interval'])}. Mean IoU of the box that overlaps most: "
        f"{held['mean_iou_best_overlap']:.3f}. Line map: mean IoU "
        f"{_with_interval(heat, 'mean_iou_best_scored')}.",
        "",
        f"The shipped threshold, {false_alarms['threshold']:g}, was chosen on "
        f"{false_alarms['chosen_on']} for {false_alarms['rule']}.",
        "",
        *_level_rows(levels),
    ]  # fmt: skip
    return "\n".join(rows)


def _level_rows(levels: Mapping[str, Any]) -> list[str]:
    """The localiser as a fracture model."""
    found = levels["held_out"]
    rows = [
        f"As a fracture model with {levels['partner']}, the boxes' weights and thresholds chosen "
        f"on {levels['chosen_on_studies']} other studies:",
        "",
        "| level | AUC | recall | precision | specificity |",
        "|---|---|---|---|---|",
    ]
    for level in ("slice", "vertebra", "patient"):
        names = ("auc", "recall", "precision", "specificity")
        rows.append(f"| {level} | {' | '.join(figure(found[level], name) for name in names)} |")
    rows += [
        "",
        "Three methods for the same boxes, AUC at slice, vertebra and patient level:",
        "",
        "| method | studies that weights and thresholds were chosen on | held out |",
        "|---|---|---|",
    ]
    for one in levels["readings"]:
        areas = [
            ", ".join(f"{value:.3f}" for value in one[cohort].values())
            for cohort in (FOLDS.table, HELD_OUT.table)
        ]
        rows.append(f"| {one['reading']} | {' | '.join(areas)} |")
    return rows


def _box_row(name: str, found: Mapping[str, Any]) -> str:
    values = [found["mean_iou_best_scored"], found["hit_rate"]]
    values += [found["average_precision"][iou] for iou in ("0.1", "0.3", "0.5")]
    values.append(found["box_sensitivity_at_1_false_box_a_study"])
    values.append(found["fracture_sensitivity_at_1_false_track_a_study"])
    return f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |"


def _with_interval(found: Mapping[str, Any], name: str) -> str:
    return f"{found[name]:.3f} {_range(found[f'{name}_interval'])}"


def _range(interval: list[float] | None) -> str:
    return "(–)" if interval is None else f"({interval[0]:.3f}–{interval[1]:.3f})"


def with_figures(text: str, figures: str, begin: str = BEGIN, end: str = END) -> str:
    """The text with `figures` between its markers.

    Raises:
        ValueError: The markers are missing.
    """
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError("The text has no markers for figures.")
    return f"{before}{begin}\n{figures}\n{end}{after}"


def with_parts(text: str, *parts: tuple[str, str, str]) -> str:
    """The text with figures between several pairs of markers."""
    for figures, begin, end in parts:
        text = with_figures(text, figures, begin, end)
    return text


def real_tables(checks: list[dict[str, Any]]) -> str:
    """Calls, presence by level and the segmenter's levels on real scans."""
    tables = (scan_table(checks), level_table(checks), segmenter_table(checks))
    return "\n\n".join(table for table in tables if table)


def segmentation_table(checkpoints: Path) -> str:
    """Figures of the segmenter on fresh studies; "" without one."""
    found = find_segmenters(list_bundles(checkpoints))
    metrics = found[0].metrics or {} if found else {}
    return f"{measures_table(metrics)}\n\n{sources_text(metrics)}".rstrip() if found else ""


def documents() -> dict[Path, str]:
    """Expected text of the files."""
    bundles = scored_bundles()
    checkpoints = PROJECT_ROOT / "checkpoints"
    checks = stored_checks(checkpoints)
    localizer = read_bundle(PROJECT_ROOT / "checkpoints" / LOCALIZER)
    return {
        LOCALISATION: with_figures(LOCALISATION.read_text(), localisation_tables(localizer)),
        README: with_parts(
            README.read_text(),
            (readme_table(bundles), BEGIN, END),
            (scan_table(checks, pairs=1), REAL_BEGIN, REAL_END),
        ),
        RESULTS: with_parts(
            RESULTS.read_text(),
            (results_tables(bundles), BEGIN, END),
            (experiment_tables(checkpoints), EXPERIMENTS_BEGIN, EXPERIMENTS_END),
            (real_tables(checks), REAL_BEGIN, REAL_END),
            (abstention_table(checkpoints), ABSTENTION_BEGIN, ABSTENTION_END),
            (segmentation_table(checkpoints), SEGMENTATION_BEGIN, SEGMENTATION_END),
        ),
    }


def main() -> int:
    """Write the figures, or check them; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    stale = [path for path, text in documents().items() if path.read_text() != text]
    if arguments.check:
        for path in stale:
            print(f"{path} does not hold the bundles' figures; run python -m scripts.results.")
        return 1 if stale else 0
    for path in stale:
        write_text(path, documents()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
