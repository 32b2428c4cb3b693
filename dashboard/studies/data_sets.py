"""The data sets that this installation can show, and the synthetic cohorts made from a page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.dataset.rsna import IMAGES_FOLDER, LABELS_FILE, is_synthetic
from core.errors import TaskError
from core.phantom.cohort import MANIFEST
from dashboard.background.process_tasks import SUPERVISOR
from dashboard.background.processes import remove_whole
from dashboard.session.settings import settings

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class DataSetChoice:
    """A data root that can be chosen.

    Attributes:
        key: Its name in the URL.
        title: Its name on screen.
        root: In RSNA's layout.
        synthetic: The studies are generated.
        in_use: The other pages show it.
        complete: Its tables are there; a cohort that is being made lacks them.
        made_here: It was made from the page, so that it may be removed from there.
    """

    key: str
    title: str
    root: Path
    synthetic: bool
    in_use: bool = False
    complete: bool = True
    made_here: bool = False


def data_sets() -> list[DataSetChoice]:
    """Every data set there is: the one in use first, cohorts made from the page last."""
    current = settings()
    found: list[DataSetChoice] = []
    if current.rsna_root is not None:
        root = current.rsna_root
        found.append(DataSetChoice("rsna", f"RSNA layout · {root.name}", root, is_synthetic(root),
                                   in_use=True))  # fmt: skip
    demo = current.demo_root
    if (demo / LABELS_FILE).is_file():
        in_use = current.rsna_root is None
        found.append(DataSetChoice("demo", "Demo cohort", demo, is_synthetic(demo), in_use=in_use))
    return [*found, *_cohorts(cohorts_root())]


def cohorts_root() -> Path:
    """The folder of the cohorts made from the page."""
    return settings().cspine_var / "cohorts"


def new_cohort_root(name: str) -> Path:
    """The folder for a cohort to be made.

    Raises:
        TaskError: The name cannot be a folder's, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise TaskError(
            f"{name!r} cannot be a cohort's name; use up to 40 small letters, digits and hyphens."
        )
    root = cohorts_root() / name
    if root.exists():
        raise TaskError(f"There is a cohort {name} already; choose another name.")
    return root


def remove_cohort(choice: DataSetChoice) -> None:
    """Remove a cohort that was made from the page, for good.

    Raises:
        TaskError: The dashboard is read-only, or the data set was not made from the page.
        StorageError: It cannot be removed.
    """
    SUPERVISOR.check_allowed()
    if not choice.made_here or not (choice.root / MANIFEST).is_file():
        raise TaskError(f"{choice.title} was not made from this page; remove its folder yourself.")
    remove_whole(choice.root, str(choice.root))


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
