"""Paths that a user typed or pasted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from core.errors import DataRootError

_MAX_PATH: Final = 4096
_MAX_NAME: Final = 255
"""Limit of Linux in bytes; other systems allow fewer and report it themselves."""


def typed_path(text: str) -> Path | None:
    """The path in a text, without quotes around it; None for an empty text.

    Raises:
        DataRootError: The text cannot be a path, or "~" names an unknown user.
    """
    text = text.replace("\0", "").strip().strip("\"'")
    if not text:
        return None
    try:
        path = Path(text).expanduser()
        names = [len(os.fsencode(name)) for name in path.parts]
    except RuntimeError as error:
        raise DataRootError(
            f"{Path(text).parts[0]} is not the folder of a user; write the full path."
        ) from error
    except UnicodeEncodeError as error:
        raise DataRootError("The text is not a path; type the folder again.") from error
    if max(names) > _MAX_NAME or len(os.fsencode(path)) >= _MAX_PATH:
        raise DataRootError(
            f"A path of {len(text):,} characters is too long; check what was pasted."
        )
    return path
