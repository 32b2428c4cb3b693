"""Keep what lives as long as the process out of the search for garbage.

Python's full collection walks every object there is: 0.28 s of one core with torch and the pages
imported, in which no other thread runs. A server that collects after each answer pays that for
every click. Modules, their functions and classes are never garbage, so they are set aside.
"""

from __future__ import annotations

import gc
import sys
from typing import Final

LEAST_MODULES: Final = 100
"""So many new modules are worth a collection; what else lives then is set aside with them."""


class ImportedModules:
    """Sets aside what imports have made, once they have come to rest."""

    def __init__(self) -> None:
        self._seen = 0
        self._set_aside = 0

    def set_aside_once_settled(self) -> bool:
        """Set aside all living objects if many modules were imported, and none since the last call.

        Called again and again, as packages such as torch are imported when they are first needed.

        Returns:
            Whether it was done.
        """
        count = len(sys.modules)
        is_settled, self._seen = count == self._seen, count
        if not is_settled or count - self._set_aside < LEAST_MODULES:
            return False
        gc.freeze()  # So that `collect_all` sets aside what it leaves.
        collect_all()
        self._set_aside = count
        return True


def collect_all() -> None:
    """Collect all garbage, also among what was set aside: what lived then may have ended since."""
    is_set_aside = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    if is_set_aside:
        gc.freeze()
