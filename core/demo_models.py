"""The shipped bundles, made again from nothing: cohorts, training, held-out scores, model cards.

Thresholds are chosen on the validation fold of the training cohort; the held-out cohort, of a seed
no network was trained on, is used once, to measure.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from core import atomic
from core.config import PROJECT_ROOT, RunConfig, Settings, load_run_config
from core.data.dicom_series import read_series
from core.data.phantom.cohort import discard_outdated, write_cohort
from core.data.rsna import read_studies
from core.data.splits import assign_folds
from core.errors import BundleError
from core.evaluation.levels import LevelName, LevelReport
from core.evaluation.report import EvaluationReport, evaluate_predictions
from core.evaluation.truth import StudyTruth, truth_from_data_root
from core.inference.predictor import Predictor
from core.model_card import render_card
from core.models.bundles import BundleInfo, read_bundle
from core.models.pairs import DEFAULT_NAMES
from core.training.trainer import train
from core.types import SlicePredictions

CONFIGS: Final = PROJECT_ROOT / "configs" / "demo"
TRAIN_STUDIES, TRAIN_SEED = 150, 11
HELD_OUT_STUDIES, HELD_OUT_SEED = 40, 23

Progress = Callable[[int, int], None]
Say = Callable[[str], None]
Outputs = Mapping[str, list[SlicePredictions]]
"""Slice outputs of every study by bundle name; only the columns of its task are its own."""


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """What both cohorts say of a bundle and its partner."""

    validation: EvaluationReport
    held_out: EvaluationReport


def build_bundles(
    settings: Settings,
    work: Path,
    *,
    only: Sequence[str] = (),
    score_only: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> list[Path]:
    """Make both cohorts, train every config of `configs/demo`, and write scored bundles.

    Args:
        settings: Says where bundles go.
        work: Folder for cohorts and runs; finished cohorts are used again.
        only: Names of configs to train anew; empty means all. Every bundle is scored.
        score_only: Train nothing.
        jobs: Processes for the cohorts.
        progress: Called with (done, total) of the step at work.
        say: Called with one line a step.

    Returns:
        Folders of the bundles.

    Raises:
        BundleError: A bundle that is to be scored was never trained.
        TrainingError, ConfigError, StorageError: As the steps raise them.
    """
    train_root, held_out_root = work / "train", work / "held_out"
    for root in (train_root, held_out_root):
        if discard_outdated(root):
            say(f"{root} was made by an earlier generator and is made anew")
    say(f"Training cohort: {TRAIN_STUDIES} synthetic studies, seed {TRAIN_SEED}")
    write_cohort(train_root, studies=TRAIN_STUDIES, seed=TRAIN_SEED, jobs=jobs, progress=progress)
    say(f"Held-out cohort: {HELD_OUT_STUDIES} synthetic studies, seed {HELD_OUT_SEED}")
    write_cohort(
        held_out_root, studies=HELD_OUT_STUDIES, seed=HELD_OUT_SEED, jobs=jobs, progress=progress
    )
    configs = {
        path.stem: load_run_config(path, data_root=train_root)
        for path in sorted(CONFIGS.glob("*.yaml"))
    }
    for name in () if score_only else only or configs:
        if name not in configs:
            raise BundleError(f"{name} has no config in {CONFIGS}; choose one of {list(configs)}.")
        say(f"Training {name}")
        shutil.rmtree(work / "runs" / name, ignore_errors=True)
        made = train(configs[name], work / "runs" / name, progress=progress)
        _install(made, settings.checkpoints / name)
    bundles = {name: read_bundle(settings.checkpoints / name) for name in configs}
    _score_all(bundles, configs, held_out_root, progress, say)
    return [bundle.folder for bundle in bundles.values()]


def _install(made: Path, target: Path) -> None:
    """Copy a run's bundle to the folder of shipped ones under its config's name."""
    target.mkdir(parents=True, exist_ok=True)
    for stale in target.glob("*.json"):
        stale.unlink()
    for file in made.iterdir():
        atomic.write_bytes(target / file.name, file.read_bytes())


def _score_all(
    bundles: Mapping[str, BundleInfo],
    configs: Mapping[str, RunConfig],
    held_out_root: Path,
    progress: Progress | None,
    say: Say,
) -> None:
    """Run every network once over each cohort, then score each with its default partner."""
    first = next(iter(configs.values()))
    folds = assign_folds(read_studies(first.data_root), first.folds, first.seed)
    validation_ids = {study for study, fold in folds.items() if fold == first.fold}
    say(f"Validation fold: {len(validation_ids)} studies")
    validation = _outputs(bundles, first.data_root, validation_ids, progress)
    validation_truth = truth_from_data_root(first.data_root, validation_ids)
    say(f"Held-out cohort: {HELD_OUT_STUDIES} studies")
    held_out = _outputs(bundles, held_out_root, None, progress)
    held_out_truth = truth_from_data_root(held_out_root)
    for name, bundle in bundles.items():
        other = "fracture" if bundle.config.task == "vertebra" else "vertebra"
        partner = bundles[DEFAULT_NAMES[other]]
        pair = (bundle, partner) if other == "fracture" else (partner, bundle)
        chosen_on = _evaluate(pair, validation, validation_truth, None)
        thresholds: dict[LevelName, float] = {
            level: report.operating_point.threshold for level, report in _levels(chosen_on).items()
        }
        measured_on = _evaluate(pair, held_out, held_out_truth, thresholds)
        origin = f"validation fold {first.fold} of {first.folds}, {len(validation_ids)} studies"
        _write_scores(bundle, partner, configs[name], _Scored(chosen_on, measured_on), origin)


def _outputs(
    bundles: Mapping[str, BundleInfo],
    root: Path,
    study_ids: set[str] | None,
    progress: Progress | None,
) -> Outputs:
    """Outputs of every bundle, studies sorted; two networks run at a time, each network once."""
    vertebra = [b for b in bundles.values() if b.config.task == "vertebra"]
    fracture = [b for b in bundles.values() if b.config.task == "fracture"]
    pairs = [(v or vertebra[0], f or fracture[0]) for v, f in zip_longest(vertebra, fracture)]
    predictors = [(pair, Predictor(*pair)) for pair in pairs]
    records = [r for r in read_studies(root) if study_ids is None or r.study_id in study_ids]
    found: dict[str, list[SlicePredictions]] = {name: [] for name in bundles}
    for k, record in enumerate(records):
        volume = read_series(record.folder)
        for (v, f), predictor in predictors:
            prediction = predictor.predict(volume)
            for bundle in (v, f):
                if len(found[bundle.config.name]) == k:
                    found[bundle.config.name].append(prediction)
        if progress:
            progress(k + 1, len(records))
    return found


def _evaluate(
    pair: tuple[BundleInfo, BundleInfo],
    outputs: Outputs,
    truth: list[StudyTruth],
    thresholds: Mapping[LevelName, float] | None,
) -> EvaluationReport:
    """Join presence of one bundle with fracture of the other, and measure."""
    names = (pair[0].config.name, pair[1].config.name)
    joined = [
        replace(f, vertebra_probs=v.vertebra_probs, models=names)
        for v, f in zip(outputs[names[0]], outputs[names[1]], strict=True)
    ]
    return evaluate_predictions(joined, truth, thresholds=thresholds)


def _levels(report: EvaluationReport) -> dict[LevelName, LevelReport]:
    found: dict[LevelName, LevelReport | None] = {
        "slice": report.slice,
        "vertebra": report.vertebra,
        "patient": report.patient,
        "presence": report.presence,
    }
    return {name: level for name, level in found.items() if level is not None}


def _write_scores(
    bundle: BundleInfo, partner: BundleInfo, config: RunConfig, scored: _Scored, origin: str
) -> None:
    """Write operating points, metrics and the card beside the weights."""
    points: dict[str, Any] = {
        name: {
            "threshold": level.operating_point.threshold,
            "rule": level.operating_point.rule,
        }
        for name, level in _levels(scored.validation).items()
    }
    metrics = _metrics(bundle, partner, scored)
    atomic.write_json(bundle.folder / "operating_points.json", points | {"chosen_on": origin})
    atomic.write_json(bundle.folder / "metrics.json", metrics)
    atomic.write_text(bundle.folder / "MODEL_CARD.md", render_card(bundle, config, metrics))


def _metrics(bundle: BundleInfo, partner: BundleInfo, scored: _Scored) -> dict[str, Any]:
    level_name: LevelName = "slice" if bundle.config.task == "fracture" else "presence"
    level = _levels(scored.held_out)[level_name]
    interval = level.intervals["auc"]
    return {
        "synthetic": True,
        "cohort": {
            "train": {"studies": TRAIN_STUDIES, "seed": TRAIN_SEED},
            "held_out": {"studies": HELD_OUT_STUDIES, "seed": HELD_OUT_SEED},
        },
        "partner": partner.config.name,
        "headline": {
            "name": "slice fracture AUC" if level_name == "slice" else "vertebra presence AUC",
            "value": level.metrics.auc,
            "low": None if interval is None else interval.low,
            "high": None if interval is None else interval.high,
            "n_patients": scored.held_out.n_patients,
        },
        "held_out": scored.held_out.to_json(),
        "validation": scored.validation.to_json(),
    }
