"""Commands that make, describe and prepare studies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from core.cli.common import (
    Dask,
    Jobs,
    ProgressFile,
    app,
    chosen_workers,
    parsed_window,
    progress_bar,
)
from core.config import Settings, SlicePreparation, load_run_config
from core.constants import ChannelMode
from core.errors import ConfigError, DataRootError, first_fault
from core.phantom.recipe import DEFAULT_RECIPE
from core.system.parallel import Workers

if TYPE_CHECKING:
    from core.cache.entries import CacheEntry
    from core.prepared.filling import StoreReport

DataRoot = Annotated[Path, typer.Argument(help="Data set in RSNA's layout.")]


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to fill, in RSNA's layout.")],
    studies: Annotated[int, typer.Option(min=1, help="Number of studies.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pixels.")] = 0,
    matrix: Annotated[int, typer.Option(min=64, max=1024, help="Rows and columns.")] = 256,
    rsna_like: Annotated[
        bool, typer.Option("--rsna-like", help="With the real set's quirks; few masks and boxes.")
    ] = False,
    recipe: Annotated[
        str, typer.Option(help="Distributions: classic, or varied surroundings and fractures.")
    ] = DEFAULT_RECIPE,
    jobs: Jobs = None,
    progress_file: ProgressFile = None,
) -> None:
    """Make synthetic studies with known fractures, as DICOM in RSNA's layout."""
    from core.phantom.cohort import write_cohort

    with progress_bar("synthetic studies", "study", progress_file) as progress:
        write_cohort(
            out, studies=studies, seed=seed, jobs=jobs, matrix=matrix, rsna_like=rsna_like,
            recipe=recipe, progress=progress,
        )  # fmt: skip
    typer.echo(f"{studies} synthetic studies in {out}")


@app.command()
def index(
    data_root: DataRoot,
    jobs: Jobs = None,
    dask: Dask = None,
    report: Annotated[Path | None, typer.Option(help="HTML file for the quality report.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Read unchanged files again.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every file and compare with the index.")
    ] = False,
    progress_file: ProgressFile = None,
) -> None:
    """Read every DICOM header once; print quality flags of the data set."""
    from core.dataset.index import build_index
    from core.dataset.quality_report import render_text, write_html
    from core.dataset.rsna import read_data_set
    from core.dataset.slice_table import check_boxes

    root, cache_dir = data_root.absolute(), Settings().store.folder
    workers = chosen_workers(jobs, dask)
    if verify:
        if fresh or report is not None:
            raise ConfigError("--verify only compares; leave out --fresh and --report.")
        _verify(root, cache_dir, workers)
        return
    with progress_bar("index", "study", progress_file) as progress:
        built = build_index(root, cache_dir, workers=workers, progress=progress, fresh=fresh)
    problems = check_boxes(read_data_set(root), built.slices).problems
    typer.echo(render_text(built, problems))
    if report is not None:
        write_html(built, report, problems)
        typer.echo(f"Report in {report}")
    typer.echo(f"Index in {built.folder}")


@app.command()
def cache(
    data_root: DataRoot,
    window: Annotated[
        str | None, typer.Option(metavar="CENTRE/WIDTH", help="HU window; 400/1800 by default.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=32, max=1024, help="Side in pixels; 512 by default.")
    ] = None,
    crop: Annotated[
        float | None, typer.Option(help="Central fraction kept, above 0.1; 1 by default.")
    ] = None,
    channels: Annotated[
        ChannelMode | None, typer.Option(help="Content of the three channels; grey by default.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Run config that gives all four instead.")
    ] = None,
    viewer: Annotated[
        bool, typer.Option("--viewer", help="Prepare the int16 volumes of the viewer instead.")
    ] = False,
    jobs: Jobs = None,
    dask: Dask = None,
) -> None:
    """Prepare every study's slices for training, or its volume for the viewer."""
    workers = chosen_workers(jobs, dask)
    options = (window, size, crop, channels)
    if viewer and (config is not None or options != (None,) * 4):
        raise ConfigError("--viewer keeps the HU unchanged; leave out the options of the slices.")
    if config is not None and options != (None,) * 4:
        raise ConfigError("--config gives window, size, crop and channels; leave those out.")
    if viewer:
        from core.prepared.volumes import volume_entry

        done = _filled("viewer store", data_root, volume_entry, workers)
        counted = f"{done.built + done.found} volumes are ready"
    else:
        from core.prepared.slices import slices_entry

        chosen = _chosen(*options) if config is None else load_run_config(config).preparation
        entry = functools.partial(slices_entry, preparation=chosen)
        done = _filled("slice store", data_root, entry, workers)
        counted = f"{done.built} studies prepared, {done.found} found"
    typer.echo(f"{counted}; {done.bytes / 2**30:.2f} GiB in {Settings().rsna_cache}")


def _chosen(
    window: str | None, size: int | None, crop: float | None, channels: ChannelMode | None
) -> SlicePreparation:
    """Return the default preparation with the given values."""
    given = {"size": size, "crop": crop, "channels": channels}
    if window is not None:
        chosen = parsed_window(window)
        given |= {"window_center": chosen.center, "window_width": chosen.width}
    try:
        return SlicePreparation.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        raise ConfigError(f"{first_fault(error)}; choose another value.") from error


def _verify(root: Path, cache_dir: Path, workers: Workers) -> None:
    from core.dataset.index import verify_index

    with progress_bar("verify", "study") as progress:
        changed = verify_index(root, cache_dir, workers=workers, progress=progress)
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise DataRootError(
            f"{changed[0]}{more} changed since the index was built; build it again."
        )
    typer.echo("No file has changed since the index was built.")


def _filled(
    title: str, data_root: Path, entry: Callable[..., CacheEntry], workers: Workers
) -> StoreReport:
    """Fill the store; print notes and the studies that were left out.

    Raises:
        DataRootError: No study is left.
    """
    from core.dataset.rsna import read_studies
    from core.prepared.filling import fill_entries

    records, store = read_studies(data_root.absolute()), Settings().store
    with progress_bar(title, "study") as progress:
        done = fill_entries(entry, records, store=store, workers=workers, progress=progress)
    for study_id, reason in done.failed:
        typer.echo(f"Left out: {study_id}: {reason}")
    if done.failed and not done.built + done.found:
        raise DataRootError("No study could be prepared; fix the errors listed above.")
    for note in done.notes:
        typer.echo(note)
    return done
