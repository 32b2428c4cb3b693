"""Every page's work without a browser: `python -m core <command>`.

The composition root: it joins the parts, shows progress, and turns a typed error into one line
and exit status 2. It imports what a command needs when the command runs, so that `--help` and the
commands without a network start at once.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from core.config import Settings, load_run_config
from core.errors import ConfigError, CSpineError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Cervical-spine fractures on CT: data, training, prediction, evaluation.",
)
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")]


def main() -> None:
    """Run the command line; bad input ends with one sentence and status 2."""
    try:
        app()
    except CSpineError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("Stopped; what was finished is kept.", err=True)
        sys.exit(130)


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to fill, in RSNA's layout.")],
    studies: Annotated[int, typer.Option(min=1, help="How many.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pixels.")] = 0,
    matrix: Annotated[int, typer.Option(min=64, max=1024, help="Rows and columns.")] = 256,
    jobs: Jobs = None,
) -> None:
    """Make synthetic studies with known fractures, as DICOM in RSNA's layout."""
    from core.data.phantom.cohort import write_cohort

    with _bar("synthetic studies", "study") as progress:
        write_cohort(out, studies=studies, seed=seed, jobs=jobs, matrix=matrix, progress=progress)
    typer.echo(f"{studies} synthetic studies in {out}")


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML run config.")],
    run_dir: Annotated[Path | None, typer.Option(help="Run folder; runs/<name> if absent.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the run's last checkpoint.")] = False,
    fold: Annotated[int | None, typer.Option(min=0, help="Fold held out.")] = None,
) -> None:
    """Train one network; leaves a run folder with a bundle in it."""
    from core.training.trainer import train as run_training

    if resume and run_dir is None:
        raise ConfigError("--resume needs to know which run; name its folder with --run-dir.")
    run_config = load_run_config(config, fold=fold)
    target = run_dir or Path("runs") / f"{config.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    with _bar(run_config.task, "batch") as progress:
        bundle = run_training(run_config, target, resume=resume, progress=progress)
    typer.echo(f"Bundle in {bundle}")


@app.command()
def predict(
    study_or_root: Annotated[Path, typer.Argument(help="A DICOM folder, or a data root.")],
    out: Annotated[Path, typer.Option(help="Folder for the predictions.")],
    bundle: Annotated[
        list[Path] | None,
        typer.Option(help="One vertebra and one fracture bundle; the shipped pair if absent."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
) -> None:
    """Predict every slice of a study, or of all studies of a data root."""
    from core.inference.batch import predict_folder
    from core.models.pairs import choose_pair

    pair = choose_pair(Settings().checkpoints, bundle or [])
    with _bar("prediction", "slice") as progress:
        summary = predict_folder(
            study_or_root, out, pair, device=device, batch_size=batch_size, progress=progress
        )
    for note in summary.notes:
        typer.echo(note)
    typer.echo(f"{summary.n_studies} studies, {summary.n_slices} slices in {out}")


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Folder that `predict` wrote.")],
    truth: Annotated[Path, typer.Option(help="Data root, truth.parquet or train.csv.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    replicates: Annotated[int, typer.Option(min=1, help="Bootstrap replicates.")] = 1000,
) -> None:
    """Metrics at slice, vertebra and patient level, with 95 % patient-bootstrap intervals."""
    from core.evaluation.report import evaluate_predictions
    from core.evaluation.report_table import render_report
    from core.evaluation.truth import read_truth
    from core.inference.outputs import read_predictions

    found = read_predictions(predictions)
    known = read_truth(truth, {study.study_id for study in found})
    report = evaluate_predictions(found, known, replicates=replicates)
    typer.echo(json.dumps(report.to_json(), indent=2) if as_json else render_report(report))


@app.command()
def demo(jobs: Jobs = None) -> None:
    """Prepare what `make run` shows: the embedded synthetic cohort."""
    from core.demo import prepare_demo

    with _bar("demo studies", "study") as progress:
        prepare_demo(Settings(), jobs=jobs, progress=progress)


@app.command()
def demo_models(
    work: Annotated[Path, typer.Option(help="Folder for cohorts and runs.")] = Path("var/training"),
    only: Annotated[list[str] | None, typer.Option(help="Names of bundles to train.")] = None,
    score_only: Annotated[bool, typer.Option(help="Train nothing, score again.")] = False,
    jobs: Jobs = None,
) -> None:
    """Train the shipped bundles again and score them on held-out synthetic studies."""
    from core.demo_models import build_bundles

    with _bar("", "step") as progress:
        build_bundles(
            Settings(),
            work,
            only=only or [],
            score_only=score_only,
            jobs=jobs,
            progress=progress,
            say=tqdm.write,
        )


class _bar:  # noqa: N801 - reads as a verb in `with _bar(...)`
    """A progress bar with an ETA that takes (done, total); absent until something starts."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._shown: tqdm[Any] | None = None

    def __enter__(self) -> Callable[[int, int], None]:
        return self._show

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._shown.close()

    def _show(self, done: int, total: int) -> None:
        shown = self._shown
        if shown is None or done < shown.n or total != shown.total:
            if shown is not None:
                shown.close()
            shown = tqdm(
                desc=self._title, unit=self._unit, initial=done, total=total, dynamic_ncols=True
            )
            self._shown = shown
        shown.update(done - shown.n)
