"""Commands that run and compare networks, and train the shipped ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from tqdm import tqdm

from core.cli.common import Bundles, Dask, Device, Jobs, app, chosen_workers, progress_bar
from core.config import Settings
from core.experiments.cohorts import HELD_OUT

Runtime = Literal["torch", "onnx"]


@app.command()
def predict(
    study_or_root: Annotated[Path, typer.Argument(help="A DICOM folder, or a data root.")],
    out: Annotated[Path, typer.Option(help="Folder for the predictions.")],
    bundle: Bundles = None,
    device: Device = "auto",
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; 1 by default, which uses every core.")
    ] = None,
    dask: Dask = None,
    runtime: Annotated[
        Runtime,
        typer.Option(help="What computes slice networks; onnx on the CPU only, exported when new."),
    ] = "torch",
) -> None:
    """Predict every slice of a study, or of all studies of a data root."""
    from core.dataset.study_search import studies_at
    from core.inference.batch import THIS_PROCESS, predict_studies
    from core.models.pairs import choose_localizer, choose_pair

    workers = THIS_PROCESS if jobs is None and dask is None else chosen_workers(jobs, dask)
    pair = choose_pair(Settings().checkpoints, bundle or [])
    localizer = choose_localizer(Settings().checkpoints, bundle or [])
    found = studies_at(study_or_root)
    onnx_folder = Settings().rsna_cache / "onnx" if runtime == "onnx" else None
    with progress_bar("prediction", "slice" if found.single else "study") as progress:
        summary = predict_studies(
            found, out, pair, localizer=localizer, device=device, batch_size=batch_size,
            onnx_folder=onnx_folder, workers=workers, progress=progress,
        )  # fmt: skip
    for note in summary.notes:
        typer.echo(note)
    typer.echo(f"{summary.n_studies} studies, {summary.n_slices} slices in {out}")


@app.command()
def export(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    onnx: Annotated[
        Path | None,
        typer.Option(help="File to write; the bundle's name in this folder unless named."),
    ] = None,
) -> None:
    """Write a bundle's network as ONNX, with its preparation, and compare it with torch."""
    from core.models.bundles import read_bundle
    from core.models.onnx_export import export_onnx

    info = read_bundle(bundle)
    done = export_onnx(info, onnx or Path(f"{info.config.name}.onnx"))
    typer.echo(
        f"{done.file}: {', '.join(done.inputs)} to {', '.join(done.outputs)}; differs from torch "
        f"by {done.largest_difference:.1e} at most"
    )


@app.command()
def demo(jobs: Jobs = None) -> None:
    """Prepare the demo cohort, the synthetic studies that `make run` shows."""
    from core.phantom.demo_cohort import prepare_demo

    with progress_bar("demo studies", "study") as progress:
        prepare_demo(Settings(), jobs=jobs, progress=progress)


@app.command()
def demo_models(
    work: Annotated[Path, typer.Option(help="Folder for cohorts and runs.")] = Path("var/training"),
    only: Annotated[list[str] | None, typer.Option(help="Names of bundles to train.")] = None,
    fold: Annotated[
        list[int] | None, typer.Option(help="Folds to train and predict; all unless given.")
    ] = None,
    score_only: Annotated[bool, typer.Option(help="Only score again, without training.")] = False,
    keep_vertebra: Annotated[
        bool, typer.Option(help="Keep the shipped vertebra networks; make the fracture networks.")
    ] = False,
    jobs: Jobs = None,
) -> None:
    """Train the shipped bundles again and score them on held-out synthetic studies."""
    from core.experiments.abstention import fit_abstention, shipped_bundles
    from core.experiments.shipped_networks import build_bundles

    with progress_bar("", "step") as progress:
        written = build_bundles(
            Settings(),
            work,
            only=only or [],
            folds=fold,
            score_only=score_only,
            keep_vertebra=keep_vertebra,
            jobs=jobs,
            progress=progress,
            say=tqdm.write,
        )
        bundles = shipped_bundles(Settings().checkpoints, written)
        fit_abstention(bundles, work, jobs=jobs, progress=progress, say=tqdm.write)


@app.command()
def demo_localizer(
    work: Annotated[Path, typer.Option(help="Folder for cohorts and the run.")] = Path(
        "var/training"
    ),
    score_only: Annotated[bool, typer.Option(help="Only score again, without training.")] = False,
    studies: Annotated[
        int, typer.Option(min=1, help="Held-out studies to measure on.")
    ] = HELD_OUT.studies,
    jobs: Jobs = None,
) -> None:
    """Train the shipped localiser again and score it on held-out synthetic studies."""
    from core.experiments.abstention import fit_abstention
    from core.experiments.shipped_localizer import build_localizer

    with progress_bar("", "step") as progress:
        bundle = build_localizer(
            Settings(), work, score_only=score_only, studies=studies, jobs=jobs,
            progress=progress, say=tqdm.write,
        )  # fmt: skip
        fit_abstention([bundle], work, jobs=jobs, progress=progress, say=tqdm.write)
    held = (bundle.metrics or {})["held_out"]
    for name, value in held.items():
        typer.echo(f"{name}: {value}")


@app.command()
def demo_abstention(
    bundle: Annotated[
        list[Path] | None, typer.Argument(help="Bundles; all shipped ones unless named.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder for cohorts.")] = Path("var/training"),
    measure_only: Annotated[bool, typer.Option(help="Only measure, without fitting.")] = False,
    studies: Annotated[
        int, typer.Option(min=0, help="Fresh studies to measure on; 0 to measure nothing.")
    ] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Seed of these studies.")] = 71,
    jobs: Jobs = None,
) -> None:
    """Fit what makes the bundles abstain, and measure it on fresh synthetic studies."""
    from core.experiments.abstention import fit_abstention, shipped_bundles
    from core.experiments.abstention_measures import fresh_cohort, measure_abstention

    checkpoints = Settings().checkpoints
    with progress_bar("", "study") as progress:
        if not measure_only:
            bundles = shipped_bundles(checkpoints, bundle or [])
            for line in fit_abstention(bundles, work, jobs=jobs, progress=progress, say=tqdm.write):
                tqdm.write(line)
        if studies:
            found = measure_abstention(
                checkpoints, work, fresh_cohort(studies, seed), jobs=jobs, progress=progress,
                say=tqdm.write,
            )  # fmt: skip
            for name, value in found.items():
                tqdm.write(f"{name}: {value}")


@app.command()
def demo_experiments(
    name: Annotated[list[str] | None, typer.Argument(help="Experiments; all unless named.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for cohorts and runs.")] = Path("var/training"),
) -> None:
    """Compare backbones, augmentation, noise reduction and early stopping at equal budgets."""
    from core.experiments.ablations import run_experiments
    from core.experiments.type_comparison import write_types

    with progress_bar("", "step") as progress:
        written = run_experiments(
            Settings(), work, only=name or [], progress=progress, say=tqdm.write
        )
    if not name:
        written.append(write_types(Settings().checkpoints))
    for file in written:
        typer.echo(file)
