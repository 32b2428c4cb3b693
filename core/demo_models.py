"""The shipped bundles, made again from nothing: cohorts, training, held-out scores, model cards.

Thresholds are chosen on the validation fold of the training cohort; the held-out cohort, of a seed
no network was trained on, is used once, to measure.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from core import atomic
from core.config import PROJECT_ROOT, RunConfig, Settings, load_run_config
from core.data.dicom_series import read_series
from core.data.phantom.cohort import write_cohort
from core.data.rsna import read_studies
from core.data.splits import assign_folds
from core.evaluation.report import EvaluationReport, evaluate_predictions
from core.evaluation.truth import truth_from_data_root
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


def build_bundles(
    settings: Settings,
    work: Path,
    *,
    only: Sequence[str] = (),
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Make both cohorts, train every config of `configs/demo`, and write scored bundles.

    Args:
        settings: Says where bundles go.
        work: Folder for cohorts and runs; finished cohorts are used again.
        only: Names of configs to train; empty means all. Every bundle is scored.
        jobs: Processes for the cohorts.
        progress: Called with (done, total) of the step at work.
        say: Called with one line a step.

    Returns:
        Folders of the bundles.
    """
    train_root, held_out_root = work / "train", work / "held_out"
    say(f"Training cohort: {TRAIN_STUDIES} synthetic studies, seed {TRAIN_SEED}")
    write_cohort(train_root, studies=TRAIN_STUDIES, seed=TRAIN_SEED, jobs=jobs, progress=progress)
    say(f"Held-out cohort: {HELD_OUT_STUDIES} synthetic studies, seed {HELD_OUT_SEED}")
    write_cohort(
        held_out_root, studies=HELD_OUT_STUDIES, seed=HELD_OUT_SEED, jobs=jobs, progress=progress
    )
    configs = {path.stem: path for path in sorted(CONFIGS.glob("*.yaml"))}
    for name, path in configs.items():
        if only and name not in only:
            continue
        say(f"Training {name}")
        config = load_run_config(path, data_root=train_root)
        run_dir = work / "runs" / name
        shutil.rmtree(run_dir, ignore_errors=True)
        made = train(config, run_dir, progress=progress)
        _install(made, settings.checkpoints / name)
    say("Scoring on the validation fold and on the held-out cohort")
    bundles = {n: read_bundle(settings.checkpoints / n) for n in configs}
    for name, bundle in bundles.items():
        other = "fracture" if bundle.config.task == "vertebra" else "vertebra"
        partner = bundles[DEFAULT_NAMES[other]]
        config = load_run_config(configs[name], data_root=train_root)
        _score(bundle, partner, config, held_out_root, progress)
    return [bundle.folder for bundle in bundles.values()]


def _install(made: Path, target: Path) -> None:
    """Copy a run's bundle to the folder of shipped ones under its config's name."""
    target.mkdir(parents=True, exist_ok=True)
    for stale in target.glob("*.json"):
        stale.unlink()
    for file in made.iterdir():
        atomic.write_bytes(target / file.name, file.read_bytes())


def _score(
    bundle: BundleInfo,
    partner: BundleInfo,
    config: RunConfig,
    held_out_root: Path,
    progress: Progress | None,
) -> None:
    """Write operating points (validation fold) and metrics (held-out) beside the weights."""
    pair = (bundle, partner) if bundle.config.task == "vertebra" else (partner, bundle)
    folds = assign_folds(read_studies(config.data_root), config.folds, config.seed)
    validation_ids = {study for study, fold in folds.items() if fold == config.fold}
    validation = _evaluate(pair, config.data_root, validation_ids, None, progress)
    levels = ("slice", "vertebra", "patient", "presence")
    points = {name: validation.to_json().get(name) for name in levels}
    points["presence"] = (points["presence"] or {}).get("pooled")
    chosen = {
        name: {"threshold": level["threshold"], "rule": level["threshold_rule"]}
        for name, level in points.items()
        if level
    }
    origin = f"validation fold {config.fold} of {config.folds}, {len(validation_ids)} studies"
    held_out = _evaluate(
        pair, held_out_root, None, {k: v["threshold"] for k, v in chosen.items()}, progress
    )
    metrics = _metrics(bundle, partner, validation, held_out)
    atomic.write_json(
        bundle.folder / "operating_points.json", chosen | {"chosen_on": origin}
    )
    atomic.write_json(bundle.folder / "metrics.json", metrics)
    atomic.write_text(bundle.folder / "MODEL_CARD.md", render_card(bundle, config, metrics))


def _metrics(
    bundle: BundleInfo,
    partner: BundleInfo,
    validation: EvaluationReport,
    held_out: EvaluationReport,
) -> dict[str, Any]:
    fracture = bundle.config.task == "fracture"
    level = held_out.slice if fracture else held_out.presence
    assert level is not None  # noqa: S101 - every synthetic study has a mask
    interval = level.intervals["auc"]
    return {
        "synthetic": True,
        "cohort": {
            "train": {"studies": TRAIN_STUDIES, "seed": TRAIN_SEED},
            "held_out": {"studies": HELD_OUT_STUDIES, "seed": HELD_OUT_SEED},
        },
        "partner": partner.config.name,
        "headline": {
            "name": "slice fracture AUC" if fracture else "vertebra presence AUC",
            "value": level.metrics.auc,
            "low": None if interval is None else interval.low,
            "high": None if interval is None else interval.high,
            "n_patients": held_out.n_patients,
        },
        "held_out": held_out.to_json(),
        "validation": validation.to_json(),
    }


def _evaluate(
    pair: tuple[BundleInfo, BundleInfo],
    root: Path,
    study_ids: set[str] | None,
    thresholds: dict[str, float] | None,
    progress: Progress | None,
) -> EvaluationReport:
    predictor = Predictor(*pair)
    records = [r for r in read_studies(root) if study_ids is None or r.study_id in study_ids]
    predictions: list[SlicePredictions] = []
    for k, record in enumerate(records):
        predictions.append(predictor.predict(read_series(record.folder)))
        if progress:
            progress(k + 1, len(records))
    truth = truth_from_data_root(root, [record.study_id for record in records])
    return evaluate_predictions(predictions, truth, thresholds=thresholds)  # type: ignore[arg-type]
