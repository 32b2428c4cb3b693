"""Commands about training: one run or all its folds, sweeps, and the list of runs."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from core.cli.common import ProgressFile, app, progress_bar
from core.config import RunConfig, Settings, load_run_config
from core.errors import ConfigError


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML run config.")],
    run_dir: Annotated[
        Path | None, typer.Option(help="Run folder; by default a new one among the dashboard's.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue from the run's last checkpoint.")] = False,
    fold: Annotated[
        str | None, typer.Option(help="Fold held out, or all: each in turn, then pooled.")
    ] = None,
    queue: Annotated[
        bool, typer.Option(help="Wait for the runs on this device that asked earlier.")
    ] = False,
) -> None:
    """Train one network, or one per fold; writes a run folder with a bundle.

    On several GPUs or machines: torchrun --nproc-per-node N -m core train CONFIG --run-dir R.
    """
    if resume and run_dir is None:
        raise ConfigError("--resume needs a run folder; give it with --run-dir.")
    run_config = load_run_config(config, fold=_chosen_fold(fold))
    name = f"{config.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    target = run_dir or Settings().runs_root / name
    turn = _turn(run_config, target) if queue else contextlib.nullcontext()
    with turn, _tracked(target):
        if run_config.fold == "all":
            _train_folds(run_config, target, resume=resume)
        else:
            _train_one(run_config, target, resume=resume)


@app.command()
def pace(
    config: Annotated[Path, typer.Argument(help="YAML run config; its data are not read.")],
) -> None:
    """Measure how fast a run's network trains here; the dashboard uses it to estimate times."""
    from core.training.paces import keep_pace
    from core.training.throughput import measure_pace

    measured = measure_pace(load_run_config(config))
    keep_pace(Settings().cspine_var, measured)
    typer.echo(
        f"{measured.backbone} at {measured.size} px: {measured.images_per_second:.1f} images "
        f"per second, {measured.loader_share:.0%} of the time waiting for the loader"
    )


@app.command("try")
def try_run(
    config: Annotated[Path, typer.Argument(help="YAML run config.")],
) -> None:
    """Train and measure one batch of a few studies, to find a run's first error in seconds."""
    from core.training.trial_batch import try_batch

    tried = try_batch(load_run_config(config))
    typer.echo(
        f"One batch of {tried.studies} studies in {tried.seconds:.1f} s, loss {tried.loss:.4f}"
    )


@app.command()
def score(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    progress_file: ProgressFile = None,
) -> None:
    """Predict the patients that a run held out, for the Evaluation page and `evaluate`."""
    from core.experiments.run_scores import score_run

    settings = Settings()
    with progress_bar("held-out patients", "study", progress_file) as progress:
        target = score_run(
            run, store=settings.store, checkpoints=settings.checkpoints, progress=progress
        )
    typer.echo(f"Predictions in {target}")


@app.command()
def sweep(
    config: Annotated[Path, typer.Argument(help="YAML sweep config: base, space, trials.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the search, shared by its workers; by default one named for the config "
            "among the dashboard's."
        ),
    ] = None,
    progress_file: ProgressFile = None,
) -> None:
    """Search hyper-parameters with Optuna; start it several times on one folder for speed."""
    from core.experiments.sweep_config import load_sweep_config
    from core.experiments.sweep_files import SweepFiles
    from core.experiments.sweeps import run_sweep

    wanted = load_sweep_config(config)
    folder = out or Settings().runs_root / config.stem
    SweepFiles(folder).keep(wanted)
    followed = progress_file or SweepFiles(folder).new_worker().progress
    with _tracked(folder), progress_bar("sweep", "trial", followed) as progress:
        found = run_sweep(wanted, folder, store=Settings().store, progress=progress)
    counts = {name: found.count(name) for name in ("finished", "pruned", "failed")}
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()))
    if found.best is not None:
        typer.echo(f"Best {wanted.metric} {found.best.value:.4f} in {found.best.run}")
        for name, value in found.best.values.items():
            typer.echo(f"  {name}: {value}")


@app.command()
def runs(
    root: Annotated[
        Path | None, typer.Argument(help="Folder of runs; the dashboard's by default.")
    ] = None,
) -> None:
    """List training runs with state, progress and held-out AUC."""
    from core.training.run_list import list_runs

    folder = root or Settings().runs_root
    found = list_runs(folder)
    if not found:
        typer.echo(f"No runs in {folder}.")
        return
    typer.echo(f"{'run':<56} {'state':<11} {'step':>15} {'AUC':>6}")
    for run in found:
        step = "–" if run.status is None else f"{run.status.step:,} / {run.status.total_steps:,}"
        auc = "–" if run.validation_auc is None else f"{run.validation_auc:.3f}"
        name = "" if run.name == run.run_id else f"  {run.name}"
        typer.echo(f"{run.run_id:<56} {run.state:<11} {step:>15} {auc:>6}{name}")


def _chosen_fold(text: str | None) -> int | str | None:
    if text is None or text == "all":
        return text
    if not text.isdecimal() or len(text) > 9:
        raise ConfigError(f"--fold is a number or all, not {text!r}.")
    return int(text)


def _turn(config: RunConfig, run_dir: Path) -> contextlib.AbstractContextManager[None]:
    from core.inference.device import pick_device
    from core.training.device_queue import wait_for_turn

    device = pick_device(config.device).split(":")[0]
    return wait_for_turn(Settings().runs_root / ".queue", device, run_dir)


def _tracked(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Report the runs of this process in a folder to the tracker that TRACKER names."""
    from core.training.tracker import TrackerSettings, tracked

    return tracked(folder, TrackerSettings().address(Settings().cspine_var))


def _train_one(config: RunConfig, run_dir: Path, *, resume: bool) -> None:
    from core.training.trainer import train as train_run

    with progress_bar(config.task, "batch") as progress:
        bundle = train_run(
            config, run_dir, store=Settings().store, resume=resume, progress=progress
        )
    typer.echo(f"Bundle in {bundle}")


def _train_folds(config: RunConfig, run_dir: Path, *, resume: bool) -> None:
    from core.evaluation.report_table import render_report
    from core.experiments.cross_validation import cross_validate

    settings = Settings()
    with progress_bar(config.task, "step") as progress:
        found = cross_validate(
            config, run_dir, store=settings.store, checkpoints=settings.checkpoints, resume=resume,
            progress=progress, say=tqdm.write,
        )  # fmt: skip
    typer.echo(render_report(found.pooled))
    typer.echo("Over the folds, at the pooled predictions' thresholds (mean ± sd):")
    for level, figures in found.folds.items():
        auc = figures["auc"]
        if auc.mean is not None:
            sd = "" if auc.sd is None else f" ± {auc.sd:.3f}"
            typer.echo(f"  {level}: AUC {auc.mean:.3f}{sd}")
    typer.echo(f"Out-of-fold predictions in {run_dir / 'predictions'}")
