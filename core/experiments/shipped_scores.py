"""Scores of the shipped bundles: out-of-fold and held-out predictions, contexts, thresholds, cards.

The contexts of vertebrae and the thresholds are chosen on out-of-fold predictions; the reported
figures are measured on the held-out cohort with the network of the first fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from core.config import RunConfig
from core.constants import VERTEBRAE
from core.dataset.rsna import read_studies
from core.dataset.splits import assign_folds
from core.dataset.true_boxes import boxes_on_volume
from core.dicom.series_grid import series_grid
from core.evaluation.report import EvaluationReport, evaluate_predictions
from core.evaluation.tables.truth import StudyTruth, truth_from_data_root
from core.experiments.cohort_outputs import BundleByFold, CohortOutputs, Outputs, outputs_of
from core.experiments.cohorts import BOXES, FOLDS, HELD_OUT, TRAIN, ShippedCohort
from core.inference.along_study import along_the_study
from core.inference.context import fit_context
from core.inference.line_tracks import fit_tracks
from core.inference.outputs import read_slices, write_slices
from core.models.bundles import (
    CONFIG_FILE,
    METRICS_FILE,
    MODEL_CARD_FILE,
    OPERATING_POINTS_FILE,
    BundleInfo,
    read_bundle,
)
from core.models.pairs import DEFAULT_NAMES
from core.system import atomic_files
from core.system.parquet import write_parquet
from core.training.trainer import TRAINING_TASKS
from core.types import LevelName, Progress, Say, StudyRecord

TOP_K: Final = 3
"""Slices that represent a vertebra in its context: a fracture line crosses a few."""


def score_bundles(
    trained: Mapping[str, BundleByFold],
    configs: Mapping[str, RunConfig],
    work: Path,
    checkpoints: Path,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> list[Path]:
    """Predict both cohorts, choose contexts and thresholds, and write the bundles to ship.

    Args:
        trained: Bundles by name, then by the fold that they were not trained on.
        configs: Run configs by name.
        work: Folder of the cohorts, each in a folder of its name.
        checkpoints: Folder of the shipped bundles.
        progress: Called with (studies done, total studies).
        say: Called with one line per step.

    Returns:
        Folders of the shipped bundles.
    """
    first = next(iter(configs.values()))
    chosen_on, measured_on = outputs_of(trained, first, work, progress, say)
    shipped = {name: by_fold[min(by_fold)] for name, by_fold in trained.items()}
    return score_outputs(shipped, first, work, checkpoints, chosen_on, measured_on, say)


def score_outputs(
    shipped: Mapping[str, BundleInfo], config: RunConfig, work: Path, checkpoints: Path,
    chosen_on: CohortOutputs, measured_on: CohortOutputs,
    say: Say = lambda _: None,
) -> list[Path]:  # fmt: skip
    """Choose contexts and thresholds, measure, and write the bundles to ship.

    Args:
        shipped: Bundles by name: newly trained ones, or those of `checkpoints`, which keep their
            weights.
        config: Run config with the folds and their seed.
        work: Folder of the cohorts, each in a folder of its name.
        checkpoints: Folder of the shipped bundles.
        chosen_on: Out-of-fold outputs on `FOLDS`.
        measured_on: Outputs on `HELD_OUT`.
        say: Called with one line per bundle.

    Returns:
        Folders of the shipped bundles.
    """
    assigned = assign_folds(read_studies(work / FOLDS.name), config.folds, config.seed)
    asked, raw = chosen_on.records, chosen_on.raw
    folds = {assigned[record.study_id] for record in asked}
    truth = truth_from_data_root(work / FOLDS.name, {record.study_id for record in asked})
    weights = _study_weights(shipped, raw, truth)
    shipped = {
        name: _install(bundle, checkpoints / name, name, weights.get(name, {}))
        for name, bundle in shipped.items()
    }
    out_of_fold = _joined(shipped, raw)
    held_out = _joined(shipped, measured_on.raw)
    held_out_truth = truth_from_data_root(work / HELD_OUT.name)
    of_folds = f"{len(folds)} of {config.folds} folds"
    origin = f"out-of-fold predictions of {len(asked)} studies, {of_folds}"
    for name, bundle in shipped.items():
        say(f"Scoring {name}")
        files = [cohort.predictions_file(bundle.folder) for cohort in (FOLDS, HELD_OUT)]
        write_slices(files[0], out_of_fold[name], folds=assigned)
        write_slices(files[1], held_out[name])
        # Measured on the rounded values of the files, so that the figures can be reproduced.
        own, measured = read_slices(files[0]), read_slices(files[1])
        chosen = evaluate_predictions(own, truth)
        thresholds: dict[LevelName, float] = {
            level: report.operating_point.threshold for level, report in chosen.levels.items()
        }
        report = evaluate_predictions(measured, held_out_truth, thresholds=thresholds)
        partner = shipped[_partner(shipped[name])]
        _write_scores(bundle, partner, chosen, report, origin)
    write_truth(checkpoints, FOLDS, asked, truth)
    write_truth(checkpoints, HELD_OUT, measured_on.records, held_out_truth)
    return [bundle.folder for bundle in shipped.values()]


def _partner(bundle: BundleInfo) -> str:
    """Name of the network that a bundle is paired with: itself for Type 3."""
    if bundle.config.task == "fracture" and bundle.config.gives_presence:
        return bundle.folder.name
    return DEFAULT_NAMES["fracture" if bundle.config.task == "vertebra" else "vertebra"]


def _study_weights(
    shipped: Mapping[str, BundleInfo], raw: Outputs, truth: Sequence[StudyTruth]
) -> dict[str, dict[str, Any]]:
    """Fit what combines slices along a study on each fracture network's out-of-fold outputs.

    A dense network's lines have tracks, as boxes have; others get the context of a vertebra.
    """
    fractured = {study.study_id: study for study in truth}
    default = DEFAULT_NAMES["vertebra"]
    found: dict[str, dict[str, Any]] = {}
    for name, bundle in shipped.items():
        if bundle.config.task != "fracture":
            continue
        rows: list[tuple[Any, Any, Any]] = []
        source = name if bundle.config.gives_presence else default
        for own, seen in zip(raw[name], raw[source], strict=True):
            known = fractured[own.study_id]
            if known.presence is not None:
                target = known.presence & known.fractured[np.newaxis]
                rows.append((own.fracture_probs, seen.vertebra_probs, target))
        shared = bundle.config.type == 1
        if bundle.config.gives_maps:
            found[name] = {"track_weights": fit_tracks(rows, shared=shared)}
        else:
            found[name] = {"context": fit_context(rows, top_k=TOP_K, shared=shared)}
    return found


def _joined(shipped: Mapping[str, BundleInfo], raw: Outputs) -> Outputs:
    """Each network's outputs joined with its partner's, with the context of vertebrae."""
    joined: Outputs = {}
    for name, bundle in shipped.items():
        other = _partner(bundle)
        is_vertebra = bundle.config.task == "vertebra"
        v_name, f_name = (name, other) if is_vertebra else (other, name)
        fracture = shipped[f_name].config
        joined[name] = [
            replace(
                f, vertebra_probs=v.vertebra_probs, models=tuple(dict.fromkeys((v_name, f_name))),
                fracture_type=fracture.type,
                fracture_probs=along_the_study(fracture, f.fracture_probs, v.vertebra_probs),
            )
            for v, f in zip(raw[v_name], raw[f_name], strict=True)
        ]  # fmt: skip
    return joined


def _install(bundle: BundleInfo, target: Path, name: str, weights: Mapping[str, Any]) -> BundleInfo:
    """Copy a run's bundle to the shipped ones, with its config's name and the study's weights."""
    changes: dict[str, Any] = {"name": name, "context": None, "track_weights": None, **weights}
    if bundle.config.takes_presence:
        changes["vertebra_bundle"] = DEFAULT_NAMES["vertebra"]
    config = bundle.config.model_copy(update=changes)
    payload = bundle.weights_file.read_bytes()
    target.mkdir(parents=True, exist_ok=True)
    for stale in target.glob("*.json") if bundle.folder != target else ():
        stale.unlink()
    atomic_files.write_bytes(target / bundle.weights_file.name, payload)
    atomic_files.write_text(target / CONFIG_FILE, config.model_dump_json(indent=2) + "\n")
    return read_bundle(target)


def _write_scores(
    bundle: BundleInfo, partner: BundleInfo, chosen: EvaluationReport, measured: EvaluationReport,
    origin: str,
) -> None:  # fmt: skip
    """Write operating points, metrics and the card next to the weights."""
    points: dict[str, Any] = {
        name: {"threshold": level.operating_point.threshold, "rule": level.operating_point.rule}
        for name, level in chosen.levels.items()
    }
    level_name: LevelName = "slice" if bundle.config.task == "fracture" else "presence"
    level = measured.levels[level_name]
    interval = level.intervals["auc"]
    start = BOXES if bundle.config.gives_maps else TRAIN
    metrics = {
        "synthetic": True,
        "cohort": {cohort.name: cohort.made_from() for cohort in (start, FOLDS, HELD_OUT)},
        "partner": partner.config.name,
        "epoch": bundle.config.trained_on.get("epoch"),
        "headline": {
            "name": "slice fracture AUC" if level_name == "slice" else "vertebra presence AUC",
            "value": level.metrics.auc,
            "low": None if interval is None else interval.low,
            "high": None if interval is None else interval.high,
            "n_patients": measured.n_patients,
        },
        "held_out": measured.to_json(),
        "out_of_fold": chosen.to_json(),
    }
    atomic_files.write_json(bundle.folder / OPERATING_POINTS_FILE, points | {"chosen_on": origin})
    atomic_files.write_json(bundle.folder / METRICS_FILE, metrics)
    card = TRAINING_TASKS[bundle.config.task].card(bundle, metrics)
    atomic_files.write_text(bundle.folder / MODEL_CARD_FILE, card)


def write_truth(
    checkpoints: Path, cohort: ShippedCohort, records: Sequence[StudyRecord],
    truth: Sequence[StudyTruth],
) -> None:  # fmt: skip
    """Write a cohort's truth next to the bundles: one row per study, and one row per slice.

    Args:
        checkpoints: Folder of the bundles.
        cohort: The cohort.
        records: Studies of the cohort.
        truth: Truth of the studies; studies without truth are left out.
    """
    by_id = {study.study_id: study for study in truth}
    known = [record for record in records if record.study_id in by_id]
    studies = pd.DataFrame({"study_id": [record.study_id for record in known]})
    fractured = np.array([by_id[record.study_id].fractured for record in known])
    studies[[f"y_{vertebra}" for vertebra in VERTEBRAE]] = fractured
    studies["patient_overall"] = fractured.any(axis=1)
    slices: list[pd.DataFrame] = []
    for record in known:
        presence = by_id[record.study_id].presence
        if presence is None:
            continue
        placed = boxes_on_volume(record.boxes, series_grid(record.folder))
        table = pd.DataFrame(presence, columns=[f"present_{vertebra}" for vertebra in VERTEBRAE])
        table.insert(0, "study_id", record.study_id)
        table.insert(1, "slice_index", np.arange(len(presence), dtype=np.int32))
        table["boxed"] = np.isin(table["slice_index"], [box.slice_index for box in placed])
        slices.append(table)
    for file, table in (
        (cohort.truth_file(checkpoints), studies),
        (cohort.slice_truth_file(checkpoints), pd.concat(slices, ignore_index=True)),
    ):
        write_parquet(file, table, compression="zstd")
