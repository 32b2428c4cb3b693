"""Data sets of this installation, and the synthetic cohorts made on the Dataset page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.dataset.rsna import IMAGES_FOLDER, LABELS_FILE, is_synthetic
from core.errors import TaskError
from core.phantom.cohort import MANIFEST
from dashboard.background.process_tasks import SUPERVISOR
from dashboard.background.processes import remove_folder
from dashboard.session.settings import settings

DEMO_TITLE: Final = "Demo cohort"
"""Name of the embedded synthetic studies on all pages."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class DataSetChoice:
    """A data set that can be chosen.

    Attributes:
        key: Name in the URL.
        title: Name on the pages.
        root: Root folder in RSNA's layout.
        synthetic: Whether the studies are generated.
        in_use: Whether the pages show it by default.
        complete: Whether its tables exist; a cohort that is being made lacks them.
        made_here: Whether it was made on the page and may be removed there.
    """

    key: str
    title: str
    root: Path
    synthetic: bool
    in_use: bool = False
    complete: bool = True
    made_here: bool = False


def data_sets() -> list[DataSetChoice]:
    """All data sets: the one in use first, cohorts made on the page last."""
    current = settings()
    found: list[DataSetChoice] = []
    if current.rsna_root is not None:
        root = current.rsna_root
        found.append(DataSetChoice("rsna", f"RSNA layout · {root.name}", root, is_synthetic(root),
                                   in_use=True))  # fmt: skip
    demo = current.demo_root
    if (demo / LABELS_FILE).is_file():
        in_use = current.rsna_root is None
        found.append(DataSetChoice("demo", DEMO_TITLE, demo, is_synthetic(demo), in_use=in_use))
    return [*found, *_cohorts(cohorts_root())]


def title_of(root: Path) -> str:
    """Name of the data set in a folder on all pages."""
    known = {choice.root.resolve(): choice.title for choice in data_sets()}
    return known.get(root.resolve(), f"RSNA layout · {root.name}")


def cohorts_root() -> Path:
    """Folder of the cohorts made on the page."""
    return settings().cspine_var / "cohorts"


def new_cohort_root(name: str) -> Path:
    """Folder for a new cohort.

    Raises:
        TaskError: The name is not a valid folder name, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise TaskError(
            f"{name!r} is not a valid name for a cohort; use up to 40 lower-case letters, digits "
            "and hyphens."
        )
    root = cohorts_root() / name
    if root.exists():
        raise TaskError(f"Cohort {name} already exists; choose another name.")
    return root


def remove_cohort(choice: DataSetChoice) -> None:
    """Delete a cohort that was made on the page.

    Raises:
        TaskError: The dashboard is read-only, or the data set was not made on the page.
        StorageError: The folder cannot be removed.
    """
    SUPERVISOR.check_allowed()
    if not choice.made_here or not (choice.root / MANIFEST).is_file():
        raise TaskError(f"{choice.title} was not made on this page; delete its folder yourself.")
    remove_folder(choice.root, str(choice.root))


def _cohorts(root: Path) -> list[DataSetChoice]:
    try:
        folders = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
    return [
        DataSetChoice(
            key=f"cohort-{folder.name}",
            title=f"Made here · {folder.name}",
            root=folder,
            synthetic=True,
            complete=(folder / LABELS_FILE).is_file() and (folder / IMAGES_FOLDER).is_dir(),
            made_here=True,
        )
        for folder in folders
        if (folder / MANIFEST).is_file()
    ]
