"""How long one call takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Time of one call.

    Args:
        call: What is timed.
        clock: Wall time; `time.process_time` is not blurred by other programs on the machine.
    """
    start = clock()
    call()
    return clock() - start
