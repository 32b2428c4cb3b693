"""Files and folders of the server that a user typed or pasted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.errors import DataRootError
from dashboard.session.access import check_allowed
from dashboard.session.settings import settings

_MAX_PATH: Final = 4096
_MAX_NAME: Final = 255
"""Limit of Linux in bytes; other systems allow fewer and report it themselves."""
_OUTSIDE: Final = (
    "Only files and folders below BROWSE_ROOTS (the data root and CSPINE_VAR where it is not set) "
    "can be opened from here; start the dashboard with BROWSE_ROOTS=/folder:/another to allow more."
)


def typed_path(text: str) -> Path | None:
    """The path that a text names, absolute and without links; None for an empty text.

    Raises:
        DataRootError: The text cannot be a path, or the user may not open it.
    """
    text = text.replace("\0", "").strip().strip("\"'")
    if not text:
        return None
    # Not `expanduser` alone: "~name" would tell which users this machine has.
    path = Path(text).expanduser() if text == "~" or text.startswith("~/") else Path(text)
    try:
        names = [len(os.fsencode(name)) for name in path.parts]
    except UnicodeEncodeError as error:
        raise DataRootError("The text is not a path; type the folder again.") from error
    if max(names, default=0) > _MAX_NAME or len(os.fsencode(path)) >= _MAX_PATH:
        raise DataRootError(
            f"A path of {len(text):,} characters is too long; check what was pasted."
        )
    return browsable(path)


def browsable(path: Path, *, offered: Sequence[Path] = ()) -> Path:
    """The path, absolute and without links.

    Args:
        path: Path that a user named.
        offered: Folders that every user may use, with everything below them.

    Raises:
        DataRootError: The user may not open it. The message is the same whether it exists or not.
    """
    found = Path(os.path.realpath(path))
    if any(found.is_relative_to(os.path.realpath(root)) for root in offered):
        return found
    check_allowed("browse", DataRootError, "to open folders of the server")
    if not any(found.is_relative_to(root) for root in settings().browsable):
        raise DataRootError(_OUTSIDE)
    return found
