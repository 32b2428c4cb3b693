"""Data sets and bundles on this machine that a training can be pointed at."""

from __future__ import annotations

from typing import Final

from core.models.bundles import list_bundles
from dashboard.studies.cohort import settings
from dashboard.training import run_processes

LABELS_FILE: Final = "train.csv"


def data_roots() -> tuple[str, ...]:
    """The data set in use, generated cohorts, and those of earlier runs that are still there."""
    current = settings()
    cohorts = sorted(path.parent for path in current.cspine_var.glob(f"training/*/{LABELS_FILE}"))
    earlier = [run.config.data_root for run in run_processes.all_runs() if run.config is not None]
    found = [current.data_root, *cohorts, *(path for path in earlier if path.is_dir())]
    return tuple(dict.fromkeys(str(path) for path in found))


def vertebra_bundles() -> tuple[str, ...]:
    """Folders of the bundles that can tell which vertebrae a slice shows, shipped ones first."""
    found = [
        bundle.folder for bundle in list_bundles(settings().checkpoints)
        if bundle.config.task == "vertebra"
    ]  # fmt: skip
    found += [
        run.folder / "bundle" for run in run_processes.all_runs()
        if run.config is not None and run.config.task == "vertebra"
        and (run.folder / "bundle" / "config.json").is_file()
    ]  # fmt: skip
    return tuple(str(folder) for folder in found)
