"""Making the shipped bundles from scratch: cohorts, training, scores, model cards.

Three cohorts with different seeds: on `TRAIN` one network is trained to detect fracture lines, and
every shipped network starts from its weights; `FOLDS` is split into five folds of patients, each
type is trained on four and predicts the fifth; `HELD_OUT` is used once, to measure. Contexts and
thresholds are chosen on the out-of-fold predictions only.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from core.config import PROJECT_ROOT, RunConfig, Settings, load_run_config
from core.errors import BundleError
from core.experiments.cohorts import FOLDS, HELD_OUT, TRAIN
from core.experiments.finished_runs import finished_run
from core.experiments.shipped_scores import score_bundles
from core.models.bundles import read_bundle
from core.models.pairs import DEFAULT_NAMES
from core.phantom.cohort import discard_outdated, write_cohort
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

    A finished run is kept unless it is named in `only`, so that a repeated call continues an
    interrupted one. The network of the first fold is shipped.

    Args:
        settings: Folders of bundles and caches.
        work: Folder for cohorts and runs.
        only: Names of configs (or "trunk") to train again; the others keep their runs.
        folds: The folds to train; None for all.
        score_only: Do not train.
        jobs: Processes for the cohorts.
        progress: Called with (done, total) of the current step.
        say: Called with one line per step.

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
        if discard_outdated(root, cohort.recipe):
            say(f"{root} was made by an earlier generator or recipe and is made again")
        say(
            f"Cohort {cohort.name}: {cohort.studies} synthetic studies, seed {cohort.seed}, "
            f"{cohort.role}"
        )
        write_cohort(
            root, studies=cohort.studies, seed=cohort.seed, jobs=jobs, recipe=cohort.recipe,
            progress=progress,
        )  # fmt: skip
    every = range(next(iter(configs.values())).folds)
    wanted = tuple(every if folds is None else folds)
    runs = work / "runs"
    if not score_only:
        _train_all(work, runs, configs, wanted, only, settings.store, progress, say)
    trained = {
        name: {fold: read_bundle(runs / name / f"fold-{fold}" / "bundle") for fold in wanted}
        for name in configs
    }
    return score_bundles(trained, configs, work, settings.checkpoints, progress, say)


def demo_configs(data_root: Path) -> dict[str, RunConfig]:
    """The configs of the shipped vertebra and fracture networks by name, vertebra first."""
    return {
        path.stem: load_run_config(path, data_root=data_root)
        for path in sorted(CONFIGS.glob("*.yaml"), reverse=True)
    }


def _train_all(
    work: Path, runs: Path, configs: Mapping[str, RunConfig], folds: Sequence[int],
    only: Sequence[str], store: Store, progress: Progress | None, say: Say,
) -> None:  # fmt: skip
    for name in only:
        shutil.rmtree(runs / name, ignore_errors=True)
    trunk = load_run_config(TRUNK_CONFIG, data_root=work / TRAIN.name)
    finished_run(trunk, runs / "trunk", store, progress, say)
    for name, config in configs.items():
        for fold in folds:
            changes: dict[str, object] = {"fold": fold, "init_from": runs / "trunk" / "bundle"}
            if config.task == "fracture" and config.type == 2:
                changes["vertebra_bundle"] = (
                    runs / DEFAULT_NAMES["vertebra"] / f"fold-{fold}" / "bundle"
                )
            run = runs / name / f"fold-{fold}"
            finished_run(config.model_copy(update=changes), run, store, progress, say)
