"""Ablations: ways of training, compared at an equal budget.

Each file of `configs/experiments` is one experiment: the settings shared by all its runs, and the
arms that differ in one setting. Every arm is trained with every seed and measured on the held-out
cohort, on the same number of evenly spaced slices of each study; nothing is chosen there, as no
network is shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.config import PROJECT_ROOT, RunConfig, Settings, read_yaml
from core.errors import ConfigError, first_fault
from core.experiments.ablation_scores import SUBSAMPLED_FILE, TrainedArm, measure_arms
from core.experiments.arm_comparison import write_figures
from core.experiments.cohorts import FRESH, HELD_OUT, TRAIN
from core.experiments.finished_runs import finished_run
from core.experiments.subsampled_predictions import SLICES_PER_STUDY, predict_subsampled
from core.phantom.cohort import write_cohort
from core.types import Progress, Say

EXPERIMENTS: Final = PROJECT_ROOT / "configs" / "experiments"
_COHORTS: Final = {cohort.name: cohort for cohort in (TRAIN, FRESH)}


class Experiment(BaseModel):
    """Content of an experiment's file.

    Attributes:
        title: Title for display.
        question: Question that it answers.
        baseline: The arm that the others are compared with.
        seeds: Each arm is trained once with each seed.
        run: Fields of `RunConfig` that all arms share.
        cohort: The generated cohort that all arms are trained on.
        init_from: Name of a shipped bundle that all arms start from; None: random weights.
        arms: Differing fields by name of the arm.
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
        """The run config of one arm with one seed.

        Args:
            arm: A key of `arms`.
            seed: One of `seeds`.
            work: Folder of the cohorts and runs.
            checkpoints: Folder of the shipped bundles.

        Raises:
            ConfigError: A field is unknown or its value is invalid.
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
                f"Arm {arm!r} of {self.title!r}: {first_fault(error)}; correct that value."
            ) from error


def load_experiments(folder: Path = EXPERIMENTS) -> dict[str, Experiment]:
    """Read all experiments by the names of their files.

    Raises:
        ConfigError: A file is invalid, or its baseline is none of its arms.
    """
    found: dict[str, Experiment] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            experiment = Experiment(**read_yaml(path))
        except ValidationError as error:
            raise ConfigError(f"{path}: {first_fault(error)}; correct that value.") from error
        if experiment.baseline not in experiment.arms:
            raise ConfigError(f"{path}: {experiment.baseline!r} is no arm; correct `baseline`.")
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
        settings: Folders of bundles, results and caches.
        work: Folder of the cohorts and runs; finished parts are kept, so that a repeated call
            continues an interrupted one.
        only: Names of experiments; empty for all.
        folder: Folder of the experiments' files.
        progress: Called with (done, total) of the current part.
        say: Called with one line per step.

    Returns:
        Files of the results.

    Raises:
        ConfigError: There is no such experiment.
        BundleError: A bundle to start from is missing.
        CSpineError: As the parts raise it.
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
            work / cohort.name, studies=cohort.studies, seed=cohort.seed, recipe=cohort.recipe,
            progress=progress,
        )  # fmt: skip
    written: list[Path] = []
    for name, experiment in chosen.items():
        trained: list[TrainedArm] = []
        # Seed by seed: an interrupted call leaves whole rounds of all arms.
        for seed in experiment.seeds:
            for arm in experiment.arms:
                run = work / "runs" / "experiments" / name / f"{arm}, seed {seed}"
                config = experiment.config(arm, seed, work, settings.checkpoints)
                bundle = finished_run(config, run, settings.store, progress, say)
                # The optimizer's state is three times the weights, and no run starts from here.
                (run / "last.ckpt").unlink(missing_ok=True)
                file = run / SUBSAMPLED_FILE
                if not file.is_file():
                    say(f"Predicting with {name}, {run.name}")
                    predict_subsampled(bundle, work / HELD_OUT.name, file, settings, progress)
                trained.append(TrainedArm(arm, seed, bundle, file))
        say(f"Measuring {name}")
        result = measure_arms(trained, experiment.baseline, settings.checkpoints)
        results = {arm: asdict(found) for arm, found in result.items()}
        about = experiment.model_dump(mode="json") | {"slices_per_study": SLICES_PER_STUDY}
        written.append(write_figures(settings.checkpoints, f"{name}.json", results, about))
    return written
