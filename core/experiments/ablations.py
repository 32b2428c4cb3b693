"""The project's claims tried out: ways of training, set beside each other at one equal budget.

Each file of `configs/experiments` is one experiment: what all its runs share, and the arms that
differ in one thing. Every arm is trained with every seed and measured on the held-out cohort, on
as many evenly spaced slices of each study; nothing is chosen there, as no network is shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.config import PROJECT_ROOT, RunConfig, Settings, first_fault, read_yaml
from core.errors import ConfigError
from core.experiments.ablation_scores import (
    THIN_FILE,
    Trained,
    measure_arms,
    write_result,
)
from core.experiments.cohorts import FRESH, HELD_OUT, TRAIN
from core.experiments.subsampled_predictions import predict_thinly
from core.models.bundles import BundleInfo, read_bundle
from core.phantom.cohort import write_cohort
from core.training.run_list import summarise_run
from core.training.trainer import train
from core.types import Progress, Say

EXPERIMENTS: Final = PROJECT_ROOT / "configs" / "experiments"
_COHORTS: Final = {cohort.name: cohort for cohort in (TRAIN, FRESH)}


class Experiment(BaseModel):
    """One experiment as its file describes it.

    Attributes:
        title: For the reader.
        question: What it asks.
        baseline: The arm that the others are set beside.
        seeds: Each arm is trained once with each.
        run: Fields of `RunConfig` that all arms share.
        cohort: The generated cohort that all learn from.
        init_from: Name of a shipped bundle as the start of all; random weights without one.
        arms: By name the fields in which an arm differs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    question: str
    baseline: str
    seeds: tuple[int, ...] = Field(min_length=1)
    run: dict[str, Any]
    cohort: Literal["train", "fresh"]
    init_from: str | None = Field(None, pattern=r"^\w+$")
    arms: dict[str, dict[str, Any]] = Field(min_length=1)

    def config(self, arm: str, seed: int, work: Path, checkpoints: Path) -> RunConfig:
        """The run of one arm with one seed.

        Args:
            arm: A key of `arms`.
            seed: One of `seeds`.
            work: Folder of the cohorts and runs.
            checkpoints: Where the shipped bundles lie.

        Raises:
            ConfigError: A field is unknown or its value is bad.
        """
        fields: dict[str, Any] = {
            **self.run, **self.arms[arm], "seed": seed,
            "data_root": work / _COHORTS[self.cohort].name,
        }  # fmt: skip
        if self.init_from is not None:
            fields["init_from"] = checkpoints / self.init_from
        try:
            return RunConfig(**fields)
        except ValidationError as error:
            raise ConfigError(
                f"Arm {arm!r} of {self.title!r}: {first_fault(error)}; mend that value."
            ) from error


def load_experiments(folder: Path = EXPERIMENTS) -> dict[str, Experiment]:
    """Read all experiments by the names of their files.

    Raises:
        ConfigError: A file is broken, or its baseline is none of its arms.
    """
    found: dict[str, Experiment] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            experiment = Experiment(**read_yaml(path))
        except ValidationError as error:
            raise ConfigError(f"{path}: {first_fault(error)}; mend that value.") from error
        if experiment.baseline not in experiment.arms:
            raise ConfigError(f"{path}: {experiment.baseline!r} is no arm; mend `baseline`.")
        found[path.stem] = experiment
    return found


def run_experiments(
    settings: Settings,
    work: Path,
    *,
    only: Sequence[str] = (),
    folder: Path = EXPERIMENTS,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> list[Path]:
    """Train every arm of the experiments that is not trained yet, measure, and write the results.

    Args:
        settings: Where bundles, results and caches lie.
        work: Folder of the cohorts and runs; what is finished there is kept, so that a call that
            was cut off goes on where it was.
        only: Names of experiments; all unless given.
        folder: Of the experiments' files.
        progress: Called with (done, total) of the part at work.
        say: Called with one line a step.

    Returns:
        The results' files.

    Raises:
        ConfigError: There is no such experiment.
        BundleError: A bundle to start from is missing.
        CSpineError: As the parts raise them.
    """
    experiments = load_experiments(folder)
    unknown = sorted(set(only) - set(experiments))
    if unknown:
        raise ConfigError(
            f"There is no experiment {unknown[0]!r}; choose among {', '.join(experiments)}."
        )
    chosen = {name: e for name, e in experiments.items() if not only or name in only}
    for cohort in (*{_COHORTS[e.cohort] for e in chosen.values()}, HELD_OUT):
        write_cohort(
            work / cohort.name, studies=cohort.studies, seed=cohort.seed, progress=progress
        )
    written: list[Path] = []
    for name, experiment in chosen.items():
        trained: list[Trained] = []
        # Seed by seed: a call that is cut off leaves whole rounds of all arms.
        for seed in experiment.seeds:
            for arm in experiment.arms:
                run = work / "runs" / "experiments" / name / f"{arm}, seed {seed}"
                config = experiment.config(arm, seed, work, settings.checkpoints)
                bundle = _trained(config, run, settings, progress, say)
                thin = run / THIN_FILE
                if not thin.is_file():
                    say(f"Predicting with {name}, {run.name}")
                    predict_thinly(bundle, work / HELD_OUT.name, thin, settings, progress)
                trained.append(Trained(arm, seed, bundle, thin))
        say(f"Measuring {name}")
        result = measure_arms(trained, experiment.baseline, settings.checkpoints)
        about = experiment.model_dump(mode="json")
        written.append(write_result(name, about, result, settings.checkpoints))
    return written


def _trained(
    config: RunConfig, folder: Path, settings: Settings, progress: Progress | None, say: Say
) -> BundleInfo:
    known = summarise_run(folder) if folder.is_dir() else None
    if known is None or known.state != "finished":
        say(f"Training {folder.parent.name}, {folder.name}")
        train(
            config, folder, resume=known is not None, progress=progress,
            store=settings.store,
        )  # fmt: skip
    # The optimizer's state is three times the weights, and nothing goes on from here.
    (folder / "last.ckpt").unlink(missing_ok=True)
    return read_bundle(folder / "bundle")
