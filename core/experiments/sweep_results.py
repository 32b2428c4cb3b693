"""Trials of a search so far: their values, the best one, and which hyper-parameters matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from core.experiments.sweep_config import Choice, SweepConfig
from core.experiments.sweep_files import SweepFiles

if TYPE_CHECKING:  # Optuna takes half a second to import, which a page without a search spares.
    from optuna import Study
    from optuna.storages import JournalStorage
    from optuna.trial import FrozenTrial

TrialOutcome = Literal["running", "finished", "pruned", "failed", "stopped"]

STUDY_NAME: Final = "sweep"
STOPPED: Final = "stopped"
"""Attribute of a trial that the user stopped; its values are tried again."""
PROBLEM: Final = "problem"
"""Attribute of a failed trial: why."""
_TREES: Final = 32
_OUTCOMES: Final[dict[str, TrialOutcome]] = {
    "RUNNING": "running", "COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed",
}  # fmt: skip
"""By name of Optuna's state; a trial that waits has none."""


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial.

    Attributes:
        number: Number, from 0 in the order of starts.
        outcome: How it ended, if it has.
        values: Hyper-parameters by key.
        measured: Metric on the held-out fold by epoch.
        run: Run folder.
        seconds: Time taken; None while it runs.
        problem: Why it failed; "" otherwise.
    """

    number: int
    outcome: TrialOutcome
    values: dict[str, Choice]
    measured: dict[int, float]
    run: Path
    seconds: float | None = None
    problem: str = ""

    @property
    def value(self) -> float | None:
        """The metric last measured; None before."""
        return self.measured[max(self.measured)] if self.measured else None


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Results of a search so far.

    Attributes:
        sweep: The search.
        trials: Trials in the order of starts.
        importances: Share of the metric's variance that each hyper-parameter explains, the largest
            first (functional ANOVA, Hutter et al. 2014); empty before two trials have finished.
    """

    sweep: SweepConfig
    trials: tuple[TrialRow, ...] = ()
    importances: dict[str, float] | None = None

    @property
    def best(self) -> TrialRow | None:
        """The finished trial with the best last metric; None before."""
        sign = -1 if self.sweep.is_minimised else 1
        done = [trial for trial in self.trials if trial.outcome == "finished"]
        return max(done, key=lambda trial: sign * (trial.value or 0.0), default=None)

    @property
    def ended(self) -> int:
        """Number of trials that count: those that the user stopped are tried again."""
        return sum(trial.outcome not in ("running", "stopped") for trial in self.trials)

    @property
    def is_complete(self) -> bool:
        """Whether all trials have ended."""
        return self.ended >= self.sweep.trials

    def count(self, outcome: TrialOutcome) -> int:
        """Number of trials with an outcome."""
        return sum(trial.outcome == outcome for trial in self.trials)

    def history(self) -> list[tuple[int, float, float]]:
        """Of each finished trial, in order: its number, its metric, and the best one so far."""
        done = [t for t in self.trials if t.outcome == "finished" and t.value is not None]
        values = [trial.value or 0.0 for trial in done]
        best = accumulate(values, min if self.sweep.is_minimised else max)
        return [(t.number, v, b) for t, v, b in zip(done, values, best, strict=True)]


def sweep_result(sweep: SweepConfig, folder: Path) -> SweepResult:
    """Read the results of a search so far; no trial before a worker has begun.

    Args:
        sweep: The search.
        folder: Its folder.
    """
    files = SweepFiles(folder)
    if not files.journal.is_file():
        return SweepResult(sweep)
    from optuna import load_study

    try:
        study = load_study(study_name=STUDY_NAME, storage=storage_of(files))
    except KeyError:  # The first worker is just making it.
        return SweepResult(sweep)
    trials = study.get_trials(deepcopy=False)
    rows = tuple(_row(one, files) for one in trials if one.state.name in _OUTCOMES)
    return SweepResult(sweep, rows, _importances(study, trials))


def storage_of(files: SweepFiles) -> JournalStorage:
    """Storage of a search, shared by processes and machines."""
    from optuna import logging
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    logging.set_verbosity(logging.WARNING)
    return JournalStorage(JournalFileBackend(str(files.journal)))


def has_ended(trial: FrozenTrial) -> bool:
    """Whether a trial counts: those that the user stopped are tried again."""
    return trial.state.is_finished() and STOPPED not in trial.user_attrs


def _row(trial: FrozenTrial, files: SweepFiles) -> TrialRow:
    outcome = _OUTCOMES[trial.state.name]
    taken = trial.duration
    return TrialRow(
        number=trial.number,
        outcome="stopped" if STOPPED in trial.user_attrs else outcome,
        values=dict(trial.params),
        measured={epoch: float(value) for epoch, value in trial.intermediate_values.items()},
        run=files.run_folder(trial.number),
        seconds=None if taken is None else taken.total_seconds(),
        problem=str(trial.user_attrs.get(PROBLEM, "")),
    )


def _importances(study: Study, trials: Sequence[FrozenTrial]) -> dict[str, float]:
    done = [trial for trial in trials if trial.state.name == "COMPLETE"]
    varied = {name for trial in done for name in trial.params}
    differ = [name for name in varied if len({trial.params.get(name) for trial in done}) > 1]
    if len({trial.value for trial in done}) < 2 or not differ:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    judge = FanovaImportanceEvaluator(n_trees=_TREES, seed=0)
    # In one order: the trees draw from them by their places.
    found = get_param_importances(study, evaluator=judge, params=sorted(differ))
    return {name: float(share) for name, share in found.items()}
