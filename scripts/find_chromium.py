"""Find an installed Chromium for pictures, benchmarks and browser tests."""

from __future__ import annotations

import os
import shutil
from typing import Final


class ChromiumMissingError(SystemExit):
    """No browser is installed; a script that does not catch it exits with its message."""


_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find_chromium() -> str:
    """Path of the browser that the variable CHROMIUM names, else of the first one installed.

    Raises:
        ChromiumMissingError: No browser is installed.
    """
    named = os.environ.get("CHROMIUM")
    for name in (named,) if named else _NAMES:
        if found := shutil.which(name):
            return found
    raise ChromiumMissingError("No Chromium was found; install it or set CHROMIUM to its path.")
