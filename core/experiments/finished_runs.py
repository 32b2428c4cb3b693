"""Runs of an experiment, trained only if they are not finished yet."""

from __future__ import annotations

from pathlib import Path

from core.config import RunConfig
from core.models.bundles import BundleInfo, read_bundle
from core.training.run_list import summarise_run
from core.training.runs import RunFolder
from core.training.trainer import train
from core.types import Progress, Say, Store


def finished_run(
    config: RunConfig, folder: Path, store: Store, progress: Progress | None,
    say: Say = lambda _: None,
) -> BundleInfo:  # fmt: skip
    """Train a run, or resume it, unless it is finished, and read its bundle.

    Args:
        config: Config of the run.
        folder: Folder of the run.
        store: Store of prepared slices.
        progress: Called with (steps done, total steps).
        say: Called with one line if the run is trained.

    Raises:
        CSpineError: As for `train` and `read_bundle`.
    """
    bundle = RunFolder(folder).bundle
    known = summarise_run(folder) if folder.is_dir() else None
    if known is None or known.state != "finished" or not bundle.is_dir():
        say(f"Training {folder.parent.name}/{folder.name}")
        train(config, folder, store=store, resume=known is not None, progress=progress)
    return read_bundle(bundle)
