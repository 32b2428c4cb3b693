"""Making the shipped bundles from scratch: cohorts, training, scores, model cards.

Cohorts with different seeds: on `TRAIN` one network is trained to detect fracture lines, and the
vertebra networks start from its weights; the fracture networks are dense and start from the shipped
localiser. `FOLDS` is split into five folds of patients, each type is trained on four and predicts
the fifth; `HELD_OUT` is used once, to measure. What combines the slices of a study, and the
thresholds, are chosen on the out-of-fold predictions only.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from core.config import PROJECT_ROOT, RunConfig, Settings, load_run_config
from core.dataset.rsna import read_studies
from core.dataset.splits import assign_folds
from core.errors import BundleError
from core.experiments.cohort_outputs import outputs_of
from core.experiments.cohorts import FOLDS, HELD_OUT, TRAIN, GeneratedCohort
from core.experiments.dense_networks import (
    add_dense,
    dense_bundles,
    stored_presence,
    train_dense,
)
from core.experiments.finished_runs import finished_run
from core.experiments.shipped_scores import score_outputs
from core.models.bundles import read_bundle
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
    keep_vertebra: bool = False,
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
        keep_vertebra: Make the dense fracture networks only: the shipped vertebra networks stay,
            and their shipped predictions give the presence.
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
    dense = {name: config for name, config in configs.items() if config.head == "dense"}
    pooled = {name: config for name, config in configs.items() if name not in dense}
    first = next(iter(configs.values()))
    wanted = tuple(range(first.folds) if folds is None else folds)
    for cohort in (FOLDS, HELD_OUT) if keep_vertebra else (TRAIN, FOLDS, HELD_OUT):
        _make_cohort(work, cohort, jobs, progress, say)
    if keep_vertebra:
        vertebra = {name: read_bundle(settings.checkpoints / name) for name in pooled}
        seen, held_out = (
            stored_presence(vertebra, cohort, read_studies(work / cohort.name))
            for cohort in (FOLDS, HELD_OUT)
        )
    else:
        runs = work / "runs"
        if not score_only:
            _train_all(work, runs, pooled, wanted, only, settings.store, progress, say)
        trained = {
            name: {fold: read_bundle(runs / name / f"fold-{fold}" / "bundle") for fold in wanted}
            for name in pooled
        }
        vertebra = {name: by_fold[wanted[0]] for name, by_fold in trained.items()}
        seen, held_out = outputs_of(trained, first, work, progress, say)
    if not score_only:
        train_dense(settings, work, dense, progress, say)
    say("Outputs of the dense networks")
    assigned = assign_folds(read_studies(work / FOLDS.name), first.folds, first.seed)
    chosen_on = add_dense(seen, dense, assigned, work, settings.store, progress)
    measured_on = add_dense(held_out, dense, {}, work, settings.store, progress)
    shipped = vertebra | dense_bundles(work, dense, 0)
    return score_outputs(shipped, first, work, settings.checkpoints, chosen_on, measured_on, say)


def _make_cohort(
    work: Path, cohort: GeneratedCohort, jobs: int | None, progress: Progress | None, say: Say
) -> None:
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
            changes = {"fold": fold, "init_from": runs / "trunk" / "bundle"}
            run = runs / name / f"fold-{fold}"
            finished_run(config.model_copy(update=changes), run, store, progress, say)
