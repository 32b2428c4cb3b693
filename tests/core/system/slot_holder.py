"""A process that holds a slot until it is killed; started by the tests of the slots."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from core.system.shared_slots import shared_slot

if __name__ == "__main__":
    with shared_slot(Path(sys.argv[1]), "work", 1):
        sys.stdout.write("held\n")
        sys.stdout.flush()
        time.sleep(60)
