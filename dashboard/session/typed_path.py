"""A path that somebody typed or pasted, as far as it can be one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from core.errors import DataRootError

_MAX_PATH: Final = 4096
_MAX_NAME: Final = 255
"""Bytes that Linux takes; others take fewer and say so themselves."""


def typed_path(text: str) -> Path | None:
    """The path that a text names, quotes around it left out; None for an empty one.

    Raises:
        DataRootError: No file can have such a path, or "~" names a user who is not there.
    """
    text = text.replace("\0", "").strip().strip("\"'")
    if not text:
        return None
    try:
        path = Path(text).expanduser()
        names = [len(os.fsencode(name)) for name in path.parts]
    except RuntimeError as error:
        raise DataRootError(
            f"{Path(text).parts[0]} is no user's folder; write the path from its beginning."
        ) from error
    except UnicodeEncodeError as error:
        raise DataRootError("That is no path; type the folder again.") from error
    if max(names) > _MAX_NAME or len(os.fsencode(path)) >= _MAX_PATH:
        raise DataRootError(
            f"A path of {len(text):,} letters is longer than there can be; check what was pasted."
        )
    return path
