"""Counts and distributions over the studies of a data set or a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.dataset.quality import FLAGS, Flag
from core.dataset.study_table import StudyTable

BINS: Final = 20
"""Approximate number of bars of a distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Values counted in intervals.

    Attributes:
        edges: float64 (n + 1,), increasing; interval k is half-open, from edge k to k + 1.
        counts: int64 (n,).
        median: Median; NaN if there is no value.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    median: float

    def span(self, k: int) -> tuple[float, float]:
        """Both edges of interval k."""
        return float(self.edges[k]), float(self.edges[k + 1])


@dataclass(frozen=True, slots=True, eq=False)
class DataSetStatistics:
    """Figures of a set of studies.

    Attributes:
        studies: Number of studies.
        slices: Number of slices in their volumes.
        bytes: Total size of their files.
        labelled: Studies with labels.
        fractured: Labelled studies with at least one fracture.
        boxed: Studies with boxes.
        boxes: Number of boxes.
        masked: Studies with a vertebra mask.
        flagged: Studies with at least one flag.
        unreadable: Studies that cannot be read.
        vertebrae: int64 (7,), labelled studies with C1..C7 fractured.
        fractures_per_patient: int64 (8,), labelled studies with 0..7 fractured vertebrae.
        together: int64 (7, 7), labelled studies with both fractured; its diagonal is `vertebrae`.
        flags: Number of studies with each flag, in the order of `FLAGS`.
        n_boxes: Boxes per study, for studies that have any.
        box_mm: Sides of boxes, mm.
        n_slices: Slices per study, for studies that can be read.
        spacing_mm: Slice distance per study, mm.
    """

    studies: int
    slices: int
    bytes: int
    labelled: int
    fractured: int
    boxed: int
    boxes: int
    masked: int
    flagged: int
    unreadable: int
    vertebrae: NDArray[np.int64]
    fractures_per_patient: NDArray[np.int64]
    together: NDArray[np.int64]
    flags: tuple[tuple[Flag, int], ...]
    n_boxes: Distribution
    box_mm: Distribution
    n_slices: Distribution
    spacing_mm: Distribution


def distribution_edges(table: StudyTable) -> dict[str, NDArray[np.float64]]:
    """Choose intervals with round edges for a data set, to compare its parts with the whole.

    Returns:
        float64 (n + 1,) by attribute of `DataSetStatistics`.
    """
    everything = np.ones(len(table), dtype=np.bool_)
    whole = {"n_boxes", "n_slices"}
    return {
        name: round_edges(values, whole=name in whole)
        for name, values in _values(table, everything).items()
    }


def round_edges(values: NDArray[np.float64], *, whole: bool) -> NDArray[np.float64]:
    """Return about `BINS` intervals or fewer, of a round width, that hold all values.

    Args:
        values: Finite; may be empty.
        whole: Whether values are whole numbers, so that no interval is narrower than 1.

    Returns:
        float64 (n + 1,), n >= 1.
    """
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = float(values.min()), float(values.max())
    least = (high - low) / BINS or abs(high) / BINS or 1.0
    power = 10.0 ** np.floor(np.log10(least))
    width = next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= least)
    if whole:
        width = max(1.0, width)
    first, last = np.floor(low / width), np.floor(high / width) + 1
    # Rounded, because 3 x 0.1 is not 0.3; a division may have come out just below an edge.
    edges = np.round(np.arange(first - 1, last + 2) * width, 9)
    return edges[
        np.searchsorted(edges, low, "right") - 1 : np.searchsorted(edges, high, "right") + 1
    ]


def summarise_studies(
    table: StudyTable, passes: NDArray[np.bool_], edges: Mapping[str, NDArray[np.float64]]
) -> DataSetStatistics:
    """Count the studies that pass a filter.

    Args:
        table: The data set.
        passes: bool (n,), from `core.dataset.study_table.select`.
        edges: From `distribution_edges` of the whole data set.
    """
    studies = table.studies
    labels = table.labels[passes]
    known = labels[labels[:, 0] >= 0]
    positive = (known[:, 1:] > 0).astype(np.int64)
    n_boxes = _column(studies, "n_boxes")[passes]
    flags = table.flags[passes]
    values = _values(table, passes)
    counted = {name: _count(values[name], edges[name]) for name in values}
    return DataSetStatistics(
        studies=int(passes.sum()),
        slices=int(_column(studies, "n_slices")[passes].sum()),
        bytes=int(studies["bytes"].to_numpy(np.int64)[passes].sum()),
        labelled=len(known),
        fractured=int((known[:, 0] > 0).sum()),
        boxed=int((n_boxes > 0).sum()),
        boxes=int(n_boxes.sum()),
        masked=int(studies["has_mask"].to_numpy(np.bool_)[passes].sum()),
        flagged=int(flags.any(axis=1).sum()),
        unreadable=int(studies["error"].notna().to_numpy()[passes].sum()),
        vertebrae=positive.sum(axis=0),
        fractures_per_patient=np.bincount(positive.sum(axis=1), minlength=N_VERTEBRAE + 1),
        together=positive.T @ positive,
        flags=tuple(zip(FLAGS, flags.sum(axis=0).tolist(), strict=True)),
        **counted,
    )


def _values(table: StudyTable, passes: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Finite values of the studies that pass, by distribution."""
    studies = table.studies
    n_boxes, n_slices = _column(studies, "n_boxes"), _column(studies, "n_slices")
    boxes = table.boxes["side_mm"].to_numpy(np.float64)
    found = {
        "n_boxes": n_boxes[passes & (n_boxes > 0)],
        "box_mm": boxes[passes[table.boxes["study"].to_numpy()]],
        "n_slices": n_slices[passes & (n_slices > 0)],
        "spacing_mm": _column(studies, "z_spacing_mm")[passes],
    }
    return {name: values[np.isfinite(values)] for name, values in found.items()}


def _column(studies: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return studies[name].to_numpy(np.float64)


def _count(values: NDArray[np.float64], edges: NDArray[np.float64]) -> Distribution:
    inside = np.searchsorted(edges, values, side="right") - 1
    counts = np.bincount(inside, minlength=len(edges) - 1).astype(np.int64)
    return Distribution(edges, counts, float(np.median(values)) if len(values) else float("nan"))
