"""The reconstruction kernel of a study, from the headers of its slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from core.dataset.tables import SLICE_ROLES
from core.dicom.scan_facts import ScanFacts


def commonest(names: Iterable[str]) -> str:
    """The most frequent name that is not empty; "" without any."""
    return max(Counter(filter(None, names)).items(), key=lambda one: one[1], default=("", 0))[0]


def kernel_of_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """The kernel from the rows of a shard that was written before it was one of the facts.

    Args:
        rows: With `role` and `header` of each file; None for a file without a header.
    """
    place = ScanFacts._fields.index("kernel")
    return commonest(
        row["header"]["scan"][place]
        for row in rows
        if row["role"] in SLICE_ROLES and row["header"] is not None
    )
