"""Hyper-parameter search: many short runs with pruning, on any number of workers.

A sweep is a folder with Optuna's journal of trials. A killed worker loses only its current trial,
and workers on several machines share one search through a common disk.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.trial import Trial, TrialState
from pydantic import ValidationError

from core.config import RunConfig
from core.errors import ConfigError, CSpineError, TrainingError
from core.experiments.sweep_config import Choice, Range, SweepConfig
from core.experiments.sweep_files import SweepFiles
from core.experiments.sweep_results import (
    PROBLEM,
    STOPPED,
    STUDY_NAME,
    SweepResult,
    has_ended,
    storage_of,
    sweep_result,
)
from core.system.atomic_files import write_text
from core.training.run_list import summarise_run
from core.training.runs import RunFolder
from core.training.stops import Stops
from core.training.trainer import train
from core.types import Progress, Store

POLL_SECONDS: Final = 1.0
ABANDONED_AFTER_S: Final = 300.0
_log = logging.getLogger(__name__)


def run_sweep(
    sweep: SweepConfig,
    folder: Path,
    *,
    store: Store,
    progress: Progress | None = None,
) -> SweepResult:
    """Search until the folder holds `sweep.trials` ended trials; several workers may take part.

    A request to stop (Ctrl+C, SIGTERM) interrupts the current trial, whose values are tried again
    when the search is continued.

    Args:
        sweep: The search.
        folder: Folder of journal and runs; an existing search is continued.
        store: Store of prepared slices.
        progress: Called with (trials ended, total trials).

    Raises:
        ConfigError: The folder holds a search over another space.
        StorageError: The folder cannot be written.
        KeyboardInterrupt: The search was stopped.
    """
    files = SweepFiles(folder)
    files.keep(sweep)
    with Stops().interrupting():
        study = _open_study(sweep, files)
        report = progress or (lambda *_: None)
        report(_ended(study), sweep.trials)
        while _ended(study) < sweep.trials:
            trial = _next_trial(study, sweep, files)
            if trial is None:
                time.sleep(POLL_SECONDS)  # Other workers run the last trials; one may still fail.
                continue
            _carry_out(study, trial, sweep, files, store)
            report(min(_ended(study), sweep.trials), sweep.trials)
    return sweep_result(sweep, folder)


def _next_trial(study: optuna.Study, sweep: SweepConfig, files: SweepFiles) -> Trial | None:
    """Begin a trial; None if enough trials have ended or are running."""
    with files.alone():
        _give_up_abandoned(study, files)
        running = len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
        if _ended(study) + running >= sweep.trials:
            return None
        return study.ask()


def _carry_out(
    study: optuna.Study, trial: Trial, sweep: SweepConfig, files: SweepFiles, store: Store
) -> None:
    """Train a trial and record its result."""
    try:
        value = _objective(trial, sweep, files, store)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except CSpineError as error:
        _log.warning("Trial %d failed: %s", trial.number, error)
        trial.set_user_attr(PROBLEM, str(error))
        study.tell(trial, state=TrialState.FAIL)
    except KeyboardInterrupt:
        trial.set_user_attr(STOPPED, True)
        study.enqueue_trial(trial.params)
        study.tell(trial, state=TrialState.FAIL)
        raise
    except BaseException:
        study.tell(trial, state=TrialState.FAIL)
        raise
    else:
        study.tell(trial, value)


def _open_study(sweep: SweepConfig, files: SweepFiles) -> optuna.Study:
    # Workers with the same seed would all try the same values.
    seed = sweep.seed + os.getpid()
    study = optuna.create_study(
        study_name=STUDY_NAME,
        storage=storage_of(files),
        sampler=_sampler(sweep, seed),
        pruner=_pruner(sweep),
        direction="minimize" if sweep.is_minimised else "maximize",
        load_if_exists=True,
    )
    known = study.user_attrs.get("sweep")
    if known is None:
        study.set_user_attr("sweep", sweep.model_dump_json())
    elif not SweepConfig.model_validate_json(known).is_same_search(sweep):
        raise ConfigError(
            f"{files.folder} holds another search; choose another folder or remove it."
        )
    return study


def _sampler(sweep: SweepConfig, seed: int) -> optuna.samplers.BaseSampler:
    if sweep.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if sweep.sampler == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _pruner(sweep: SweepConfig) -> optuna.pruners.BasePruner:
    if sweep.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=sweep.warmup_trials)
    if sweep.pruner == "hyperband":
        epochs = RunConfig(**sweep.base).epochs
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs)
    return optuna.pruners.NopPruner()


def _objective(trial: Trial, sweep: SweepConfig, files: SweepFiles, store: Store) -> float:
    """Train one trial; its value is the last metric on the held-out fold."""
    drawn = {name: _draw(trial, name, space) for name, space in sweep.space.items()}
    try:
        config = RunConfig.model_validate(sweep.base | drawn)
    except ValidationError as error:
        raise ConfigError(
            f"Trial {trial.number} drew values that do not fit together: "
            f"{error.errors()[0]['msg']}; narrow the space."
        ) from error
    measured: list[float] = []

    def watch(epoch: int, evaluation: dict[str, Any]) -> bool:
        value = evaluation.get(sweep.metric)
        if value is None:
            return False
        measured.append(float(value))
        trial.report(measured[-1], epoch)
        return trial.should_prune()

    run = RunFolder(files.run_folder(trial.number))
    if sweep.name:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_text(run.name_file, f"{sweep.name} · trial {trial.number}")
    train(config, run.folder, store=store, on_evaluation=watch)
    if not measured:
        raise TrainingError(
            f"Trial {trial.number} has no {sweep.metric} on its held-out fold; choose a fold with "
            "both classes."
        )
    if trial.should_prune():
        raise optuna.TrialPruned
    return measured[-1]


def _draw(trial: Trial, name: str, space: Range | list[Choice]) -> Choice:
    if isinstance(space, list):
        return trial.suggest_categorical(name, space)
    if isinstance(space.low, int) and isinstance(space.high, int):
        step = int(space.step or 1)
        return trial.suggest_int(name, space.low, space.high, log=space.log, step=step)
    return trial.suggest_float(name, space.low, space.high, log=space.log, step=space.step)


def _give_up_abandoned(study: optuna.Study, files: SweepFiles) -> None:
    """Count trials of killed workers as failed, so that nobody waits for them."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        run = files.run_folder(trial.number)
        status = summarise_run(run).status if run.is_dir() else None
        begun = trial.datetime_start
        young = begun is not None and time.time() - begun.timestamp() < ABANDONED_AFTER_S
        # A worker trains in its own process; a living one has not reported its result yet.
        if not (young if status is None else RunFolder(run).is_alive(status)):
            study.tell(trial.number, state=TrialState.FAIL)


def _ended(study: optuna.Study) -> int:
    return sum(map(has_ended, study.get_trials(deepcopy=False)))
