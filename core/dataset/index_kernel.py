"""The reconstruction kernel of a study, from the headers of its slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import pyarrow.parquet as pq

from core.dataset.tables import SLICE_ROLES
from core.dicom.scan_facts import ScanFacts

_PLACE: Final = ScanFacts._fields.index("kernel")


def commonest(names: Iterable[str]) -> str:
    """The most frequent name that is not empty; "" without any."""
    return max(Counter(filter(None, names)).items(), key=lambda one: one[1], default=("", 0))[0]


def kernel_in(shard: pq.ParquetFile) -> str:
    """The kernel from a shard that was written before it was one of the facts.

    Only the columns that it needs are read: the others take longer than the rest of an index.
    """
    table = shard.read(["role", "header.scan"])
    headers = table["header"].combine_chunks()
    scans = headers.field("scan").to_pylist()
    return commonest(
        scan[_PLACE]
        for role, scan in zip(table["role"].to_pylist(), scans, strict=True)
        if role in SLICE_ROLES and scan is not None
    )
