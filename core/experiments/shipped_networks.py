"""The shipped bundles, made again from nothing: cohorts, training, scores, model cards.

Three cohorts of three seeds: on `TRAIN` one network learns to see fracture lines, and every shipped
one starts from its weights; `FOLDS` is split into five folds of patients, each type is trained on
four and asked about the fifth; `HELD_OUT` is used once, to measure. Contexts and thresholds are
chosen on the out-of-fold predictions alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from core.config import PROJECT_ROOT, RunConfig, Settings, load_run_config
from core.errors import BundleError
from core.experiments.cohorts import FOLDS, HELD_OUT, TRAIN
from core.experiments.shipped_scores import score_bundles
from core.models.bundles import BundleInfo, read_bundle
from core.models.pairs import DEFAULT_NAMES
from core.phantom.cohort import discard_outdated, write_cohort
from core.training.run_list import summarise_run
from core.training.trainer import train
from core.types import Progress, Say, Store

CONFIGS: Final = PROJECT_ROOT / "configs" / "demo"
TRUNK_CONFIG: Final = PROJECT_ROOT / "configs" / "trunk.yaml"


def build_bundles(
    settings: Settings,
    work: Path,
    *,
    only: Sequence[str] = (),
    folds: Sequence[int] | None = None,
    score_only: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> list[Path]:
    """Make the cohorts, train every config of `configs/demo` over its folds, and score.

    A run that is finished is kept unless it is named in `only`, so that a call that was cut off
    goes on where it was. What is shipped is the network of the first fold.

    Args:
        settings: Says where bundles go.
        work: Folder for cohorts and runs.
        only: Names of configs ("trunk" among them) to train anew; the others keep their runs.
        folds: The folds to train; all unless given.
        score_only: Train nothing.
        jobs: Processes for the cohorts.
        progress: Called with (done, total) of the step at work.
        say: Called with one line a step.

    Returns:
        Folders of the bundles.

    Raises:
        BundleError: A bundle that is to be scored was never trained, or `only` names no config.
        TrainingError, ConfigError, StorageError: As the steps raise them.
    """
    configs = demo_configs(work / FOLDS.name)
    unknown = sorted(set(only) - {*configs, "trunk"})
    if unknown:
        raise BundleError(f"{unknown[0]} has no config in {CONFIGS}; choose one of {[*configs]}.")
    for cohort in (TRAIN, FOLDS, HELD_OUT):
        root = work / cohort.name
        if discard_outdated(root):
            say(f"{root} was made by an earlier generator and is made anew")
        say(
            f"Cohort {cohort.name}: {cohort.studies} synthetic studies, seed {cohort.seed}, "
            f"{cohort.role}"
        )
        write_cohort(root, studies=cohort.studies, seed=cohort.seed, jobs=jobs, progress=progress)
    wanted = tuple(folds) if folds is not None else tuple(range(_folds_of(configs)))
    runs = work / "runs"
    if not score_only:
        _train_all(work, runs, configs, wanted, only, settings.store, progress, say)
    trained = {name: {fold: _trained(runs, name, fold) for fold in wanted} for name in configs}
    return score_bundles(trained, configs, work, settings.checkpoints, progress, say)


def demo_configs(data_root: Path) -> dict[str, RunConfig]:
    """The configs of the shipped vertebra and fracture networks by name, vertebra first."""
    return {
        path.stem: load_run_config(path, data_root=data_root)
        for path in sorted(CONFIGS.glob("*.yaml"), reverse=True)
    }


def _folds_of(configs: Mapping[str, RunConfig]) -> int:
    return next(iter(configs.values())).folds


def _train_all(
    work: Path, runs: Path, configs: Mapping[str, RunConfig], folds: Sequence[int],
    only: Sequence[str], store: Store, progress: Progress | None, say: Say,
) -> None:  # fmt: skip
    for name in only:
        shutil.rmtree(runs / name, ignore_errors=True)
    trunk = load_run_config(TRUNK_CONFIG, data_root=work / TRAIN.name)
    _train_one(trunk, runs / "trunk", store, progress, say)
    for name, config in configs.items():
        for fold in folds:
            changes: dict[str, object] = {"fold": fold, "init_from": runs / "trunk" / "bundle"}
            if config.task == "fracture" and config.type == 2:
                changes["vertebra_bundle"] = (
                    runs / DEFAULT_NAMES["vertebra"] / f"fold-{fold}" / "bundle"
                )
            _train_one(
                config.model_copy(update=changes),
                runs / name / f"fold-{fold}",
                store,
                progress,
                say,
            )


def _train_one(
    config: RunConfig, folder: Path, store: Store, progress: Progress | None, say: Say
) -> None:
    known = summarise_run(folder) if folder.is_dir() else None
    if known is not None and known.state == "finished" and (folder / "bundle").is_dir():
        return
    say(f"Training {folder.parent.name}/{folder.name}")
    train(config, folder, store=store, resume=known is not None, progress=progress)


def _trained(runs: Path, name: str, fold: int) -> BundleInfo:
    return read_bundle(runs / name / f"fold-{fold}" / "bundle")
