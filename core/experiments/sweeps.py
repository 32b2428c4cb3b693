"""Hyper-parameter search: many short runs with pruning, on any number of workers.

A sweep is a folder with Optuna's journal of trials. A killed worker loses only its current trial,
and workers on several machines share one search through a common disk.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import optuna
from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.config import RunConfig, read_yaml
from core.errors import ConfigError, CSpineError, TrainingError, first_fault
from core.training.run_list import summarise_run
from core.training.runs import RunFolder
from core.training.trainer import train
from core.types import Progress, Store

Choice = str | int | float | bool | None

JOURNAL: Final = "optuna.journal"
LOCK: Final = ".lock"
POLL_SECONDS: Final = 1.0
ABANDONED_AFTER_S: Final = 300.0
_log = logging.getLogger(__name__)


class Range(BaseModel):
    """An interval that a hyper-parameter is drawn from; integers if both ends are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high}); swap them")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a log range needs low > 0 and no step; correct one")
        return self


class SweepConfig(BaseModel):
    """A search: the fixed settings, the search space and the metric.

    `base` is a run config; `space` maps the keys that vary to a list of choices or a range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: dict[str, Any]
    space: dict[str, Range | list[Choice]] = Field(min_length=1)
    metric: Literal["auc", "auc_macro", "loss"] = "auc"
    trials: int = Field(default=20, ge=1)
    prune: bool = True
    warmup_trials: int = Field(default=4, ge=0)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _varies_known_keys(self) -> SweepConfig:
        unknown = sorted(set(self.space) - set(RunConfig.file_fields()))
        if unknown:
            raise ValueError(f"space names {unknown[0]!r}, which no run config has; remove it")
        if self.base.get("fold", 0) in ("all", None):
            raise ValueError("base needs one held-out fold to measure on; set fold to a number")
        return self


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Results of a search so far.

    Attributes:
        metric: Metric that was compared.
        best_value: Metric of the best trial; None if none has finished.
        best_values: Hyper-parameters of the best trial.
        best_run: Run folder of the best trial.
        finished: Number of complete trials.
        pruned: Number of pruned trials.
        failed: Number of trials that ended with an error.
    """

    metric: str
    best_value: float | None
    best_values: dict[str, Choice]
    best_run: Path | None
    finished: int
    pruned: int
    failed: int


def load_sweep_config(path: Path) -> SweepConfig:
    """Read a YAML sweep config.

    Raises:
        ConfigError: The file is missing, is not YAML, or holds an unknown key or an invalid value.
    """
    content = read_yaml(path)
    try:
        sweep = SweepConfig(**content)
        RunConfig(**sweep.base)
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_fault(error)}; correct that value.") from error
    return sweep


def run_sweep(
    sweep: SweepConfig,
    folder: Path,
    *,
    store: Store,
    progress: Progress | None = None,
) -> SweepResult:
    """Search until the folder holds `sweep.trials` ended trials; several workers may take part.

    Args:
        sweep: The search.
        folder: Folder of journal and runs; an existing search is continued.
        store: Store of prepared slices.
        progress: Called with (trials ended, total trials).

    Raises:
        ConfigError: The folder holds a search over another space.
        StorageError: The folder cannot be written.
    """
    study = _open_study(sweep, folder)
    report = progress or (lambda *_: None)
    report(_ended(study), sweep.trials)
    while _ended(study) < sweep.trials:
        trial = _next_trial(study, sweep, folder)
        if trial is None:
            time.sleep(POLL_SECONDS)  # Other workers run the last trials; one may still fail.
            continue
        _carry_out(study, trial, sweep, folder, store)
        report(min(_ended(study), sweep.trials), sweep.trials)
    return sweep_result(sweep, folder)


def _next_trial(study: optuna.Study, sweep: SweepConfig, folder: Path) -> Trial | None:
    """Begin a trial; None if enough trials have ended or are running."""
    with FileLock(folder / LOCK):
        _give_up_abandoned(study, folder)
        if _ended(study) + _count(study, TrialState.RUNNING) >= sweep.trials:
            return None
        return study.ask()


def _carry_out(
    study: optuna.Study, trial: Trial, sweep: SweepConfig, folder: Path, store: Store
) -> None:
    """Train a trial and record its result; an interrupted trial counts as failed."""
    try:
        value = _objective(trial, sweep, folder, store)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except CSpineError as error:
        _log.warning("Trial %d failed: %s", trial.number, error)
        study.tell(trial, state=TrialState.FAIL)
    except BaseException:
        study.tell(trial, state=TrialState.FAIL)
        raise
    else:
        study.tell(trial, value)


def sweep_result(sweep: SweepConfig, folder: Path) -> SweepResult:
    """Read the results of a search so far."""
    study = _open_study(sweep, folder)
    done = _count(study, TrialState.COMPLETE)
    best = study.best_trial if done else None
    return SweepResult(
        metric=sweep.metric,
        best_value=best.value if best else None,
        best_values=dict(best.params) if best else {},
        best_run=_run_folder(folder, best.number) if best else None,
        finished=done,
        pruned=_count(study, TrialState.PRUNED),
        failed=_count(study, TrialState.FAIL),
    )


def _open_study(sweep: SweepConfig, folder: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    pruner = (
        optuna.pruners.MedianPruner(n_startup_trials=sweep.warmup_trials)
        if sweep.prune
        else optuna.pruners.NopPruner()
    )
    study = optuna.create_study(
        study_name="sweep",
        storage=storage,
        # Workers with the same seed would all try the same values.
        sampler=optuna.samplers.TPESampler(seed=sweep.seed + os.getpid(), constant_liar=True),
        pruner=pruner,
        direction="minimize" if sweep.metric == "loss" else "maximize",
        load_if_exists=True,
    )
    described = sweep.model_dump_json(exclude={"trials"})
    known = study.user_attrs.get("sweep")
    if known is None:
        study.set_user_attr("sweep", described)
    elif known != described:
        raise ConfigError(f"{folder} holds another search; choose another folder or remove it.")
    return study


def _objective(trial: Trial, sweep: SweepConfig, folder: Path, store: Store) -> float:
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

    train(config, _run_folder(folder, trial.number), store=store, on_evaluation=watch)
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


def _give_up_abandoned(study: optuna.Study, folder: Path) -> None:
    """Count trials of killed workers as failed, so that nobody waits for them."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        run = _run_folder(folder, trial.number)
        status = summarise_run(run).status if run.is_dir() else None
        begun = trial.datetime_start
        young = begun is not None and time.time() - begun.timestamp() < ABANDONED_AFTER_S
        # A worker trains in its own process; a living one has not reported its result yet.
        if not (young if status is None else RunFolder(run).is_alive(status)):
            study.tell(trial.number, state=TrialState.FAIL)


def _ended(study: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _count(study: optuna.Study, state: TrialState) -> int:
    return len(study.get_trials(deepcopy=False, states=(state,)))


def _run_folder(folder: Path, number: int) -> Path:
    return folder / f"trial-{number:04d}"
