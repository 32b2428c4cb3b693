"""The last lines of a run's metrics, without reading those before: a page asks every second."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

BLOCK_BYTES: Final = 64 << 10


def last_metrics(metrics_file: Path, event: str) -> Iterator[dict[str, Any]]:
    """Lines of one kind, the last one first; reads only as far back as they are taken.

    Args:
        metrics_file: `metrics.jsonl` of a run; none is as good as an empty one.
        event: "step", "validation" or "epoch".

    Yields:
        A line's values. A line cut off by a crash is left out.
    """
    try:
        with metrics_file.open("rb") as stream:
            for line in _lines_from_end(stream):
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict) and row.get("event") == event:
                    yield row
    except OSError:
        return


def _lines_from_end(stream: BinaryIO) -> Iterator[bytes]:
    place = stream.seek(0, os.SEEK_END)
    begun = b""  # The end of a line whose beginning lies in a block before.
    while place > 0:
        size = min(BLOCK_BYTES, place)
        place = stream.seek(place - size)
        begun, *whole = (stream.read(size) + begun).split(b"\n")
        yield from reversed(whole)
    yield begun
