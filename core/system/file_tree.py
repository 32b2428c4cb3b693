"""The files below a folder, in one order for everyone who lists them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MAX_LISTED: Final = 50_000
"""Files that are listed at most: no study has as many, and a whole disk is no study."""


def files_below(folder: Path) -> list[Path]:
    """List the visible files of a folder and of its sub-folders, by their path below it.

    Hidden files and folders are left out, links to files are followed and links to folders are
    not. A sub-folder or an entry that cannot be looked at is listed as if it were a file: opening
    it gives the reason.

    Returns:
        At most `MAX_LISTED` + 1 paths below `folder`, which it starts with.

    Raises:
        OSError: `folder` itself cannot be listed.
    """
    found: list[str] = []
    unseen = [""]
    while unseen and len(found) <= MAX_LISTED:
        inner = unseen.pop()
        try:
            with os.scandir(folder / inner) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    name = f"{inner}/{entry.name}" if inner else entry.name
                    if _is_folder(entry):
                        unseen.append(name)
                    elif _may_be_file(entry):
                        found.append(name)
        except OSError:
            if not inner:
                raise
            found.append(inner)
    return [folder / name for name in sorted(found)[: MAX_LISTED + 1]]


def path_below(path: Path, folder: Path) -> str:
    """Return the path of a file below a folder with "/" between its parts."""
    return path.relative_to(folder).as_posix()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _may_be_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return True
