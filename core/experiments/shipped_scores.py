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
from core.dicom.series import read_series
from core.dicom.series_grid import series_grid
from core.evaluation.report import EvaluationReport, evaluate_predictions
from core.evaluation.tables.truth import StudyTruth, truth_from_data_root
from core.experiments.cohorts import FOLDS, HELD_OUT, TRAIN, ShippedCohort
from core.inference.context import fit_context, in_context
from core.inference.outputs import read_slices, write_slices
from core.inference.predictor import Predictor
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
from core.types import LevelName, Progress, Say, SlicePredictions, StudyRecord

TOP_K: Final = 3
"""Slices that represent a vertebra in its context: a fracture line crosses a few."""

BundleByFold = Mapping[int, BundleInfo]
Outputs = dict[str, list[SlicePredictions]]
"""Outputs of every study by bundle name, with the same order of studies."""


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
    in_folds = read_studies(work / FOLDS.name)
    assigned = assign_folds(in_folds, first.folds, first.seed)
    folds = sorted(next(iter(trained.values())))
    asked = [r for r in in_folds if assigned[r.study_id] in folds]
    say(f"Out-of-fold predictions of {len(asked)} studies")
    raw: Outputs = {name: [] for name in trained}
    for fold in folds:
        members = [record for record in asked if assigned[record.study_id] == fold]
        networks = {name: by_fold[fold] for name, by_fold in trained.items()}
        for name, found in _run(networks, members, progress).items():
            raw[name] += found
    truth = truth_from_data_root(work / FOLDS.name, {record.study_id for record in asked})
    shipped = {name: by_fold[folds[0]] for name, by_fold in trained.items()}
    contexts = _contexts(shipped, raw, truth)
    for name, bundle in shipped.items():
        shipped[name] = _install(bundle, checkpoints / name, name, contexts.get(name))
    out_of_fold = _joined(shipped, raw)
    records = read_studies(work / HELD_OUT.name)
    say(f"Held-out predictions of {len(records)} studies")
    held_out = _joined(shipped, _run(shipped, records, progress))
    held_out_truth = truth_from_data_root(work / HELD_OUT.name)
    origin = f"out-of-fold predictions of {len(asked)} studies, {len(folds)} of {first.folds} folds"
    for name, bundle in shipped.items():
        say(f"Scoring {name}")
        files = [cohort.predictions_file(bundle.folder) for cohort in (FOLDS, HELD_OUT)]
        write_slices(files[0], out_of_fold[name], folds=assigned)
        write_slices(files[1], held_out[name])
        # Measured on the rounded values of the files, so that the figures can be reproduced.
        own, measured_on = read_slices(files[0]), read_slices(files[1])
        chosen = evaluate_predictions(own, truth)
        thresholds: dict[LevelName, float] = {
            level: report.operating_point.threshold for level, report in chosen.levels.items()
        }
        measured = evaluate_predictions(measured_on, held_out_truth, thresholds=thresholds)
        partner = shipped[_partner(shipped[name])]
        _write_scores(bundle, partner, chosen, measured, origin)
    write_truth(checkpoints, FOLDS, asked, truth)
    write_truth(checkpoints, HELD_OUT, records, held_out_truth)
    return [bundle.folder for bundle in shipped.values()]


def _partner(bundle: BundleInfo) -> str:
    """Name of the network that a bundle is paired with: itself for Type 3."""
    if bundle.config.task == "fracture" and bundle.config.gives_presence:
        return bundle.folder.name
    return DEFAULT_NAMES["fracture" if bundle.config.task == "vertebra" else "vertebra"]


def _run(
    networks: Mapping[str, BundleInfo], records: Sequence[StudyRecord], progress: Progress | None
) -> Outputs:
    """Run every network once over each study, without the context of vertebrae."""
    plain = {name: _without_context(bundle) for name, bundle in networks.items()}
    pairs = _pairs(plain)
    predictors = {pair: Predictor(plain[pair[0]], plain[pair[1]]) for pair in pairs}
    found: Outputs = {name: [] for name in networks}
    for number, record in enumerate(records):
        volume = read_series(record.folder)
        for pair, predictor in predictors.items():
            prediction = predictor.predict(volume)
            for name in pair:
                if len(found[name]) == number:
                    found[name].append(prediction)
        if progress is not None:
            progress(number + 1, len(records))
    return found


def _pairs(networks: Mapping[str, BundleInfo]) -> list[tuple[str, str]]:
    """Pair the networks so that each runs once and Type 2 gets its presence."""
    alone = [n for n, b in networks.items() if b.config.task == "fracture" and b.config.type == 3]
    vertebra = [name for name, bundle in networks.items() if bundle.config.task == "vertebra"]
    fracture = [
        name for name, bundle in networks.items()
        if bundle.config.task == "fracture" and name not in alone
    ]  # fmt: skip
    # The default vertebra network goes with Type 2, which was trained on such presence.
    vertebra.sort(key=lambda name: name != DEFAULT_NAMES["vertebra"])
    fracture.sort(key=lambda name: -networks[name].config.type)
    longest = max(len(vertebra), len(fracture))
    joined = [
        (vertebra[min(k, len(vertebra) - 1)], fracture[min(k, len(fracture) - 1)])
        for k in range(longest)
    ]
    return joined + [(name, name) for name in alone]


def _without_context(bundle: BundleInfo) -> BundleInfo:
    return replace(bundle, config=bundle.config.model_copy(update={"context": None}))


def _contexts(
    shipped: Mapping[str, BundleInfo], raw: Outputs, truth: Sequence[StudyTruth]
) -> dict[str, Any]:
    """Fit the context of each fracture network on its out-of-fold outputs."""
    fractured = {study.study_id: study for study in truth}
    default = DEFAULT_NAMES["vertebra"]
    found: dict[str, Any] = {}
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
        found[name] = fit_context(rows, top_k=TOP_K, shared=bundle.config.type == 1)
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
                fracture_probs=f.fracture_probs if fracture.context is None else in_context(
                    f.fracture_probs, v.vertebra_probs, fracture.context, shared=fracture.type == 1
                ),
            )
            for v, f in zip(raw[v_name], raw[f_name], strict=True)
        ]  # fmt: skip
    return joined


def _install(bundle: BundleInfo, target: Path, name: str, context: Any) -> BundleInfo:  # noqa: ANN401
    """Copy a run's bundle to the shipped ones, with its config's name and its context."""
    changes: dict[str, Any] = {"name": name, "context": context}
    if bundle.config.vertebra_bundle is not None:
        changes["vertebra_bundle"] = DEFAULT_NAMES["vertebra"]
    config = bundle.config.model_copy(update=changes)
    target.mkdir(parents=True, exist_ok=True)
    for stale in target.glob("*.json"):
        stale.unlink()
    atomic_files.write_bytes(target / bundle.weights_file.name, bundle.weights_file.read_bytes())
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
    metrics = {
        "synthetic": True,
        "cohort": {cohort.name: cohort.made_from() for cohort in (TRAIN, FOLDS, HELD_OUT)},
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
