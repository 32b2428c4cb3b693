"""A run that waits until the device is free."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.training.queue import turn
from core.training.runs import RunFolder


@contextmanager
def wait_for_turn(folder: Path, device: str, run_dir: Path) -> Iterator[None]:
    """Hold the device for the length of the block; the run's status says how many are ahead.

    Args:
        folder: Where the tickets lie; the same for all who share the device.
        device: For example "cpu" or "cuda".
        run_dir: The run's folder.

    Raises:
        StorageError: A folder cannot be written.
    """
    run = RunFolder(run_dir)

    def tell(ahead: int) -> None:
        waiting_for = "1 run" if ahead == 1 else f"{ahead} runs"
        run.write_status("queued", message=f"waiting for {waiting_for}")

    # While waiting too, a request to terminate is the user's and not a crash.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with turn(folder, device, on_wait=tell):
            signal.signal(signal.SIGTERM, previous)
            yield
    except KeyboardInterrupt:
        status = run.read_status()
        if status is not None and status.state == "queued":
            run.write_status("stopped")
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
