"""Where an installed Chromium is, for pictures, benchmarks and browser tests."""

from __future__ import annotations

import os
import shutil
from typing import Final


class ChromiumMissingError(SystemExit):
    """No browser is there; a script that lets it pass ends with its one sentence."""


_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find_chromium() -> str:
    """Path of the browser that the variable CHROMIUM names, else of the first one installed.

    Raises:
        ChromiumMissingError: There is none.
    """
    named = os.environ.get("CHROMIUM")
    for name in (named,) if named else _NAMES:
        if found := shutil.which(name):
            return found
    raise ChromiumMissingError("No Chromium was found; install it or set CHROMIUM to its path.")
