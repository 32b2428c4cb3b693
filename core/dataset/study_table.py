"""Table with one row per study for searching a data set, and the filter for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.dataset.index import DataIndex
from core.dataset.quality import FLAG_COLUMNS
from core.dataset.tables import LABEL_COLUMNS

Span = tuple[float, float]
"""Half-open interval: the first value is included, the second is not."""


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Filter for studies; every condition that is set must hold.

    Attributes:
        fractured: Label of the patient.
        vertebrae: Vertebrae that are all labelled as fractured.
        n_fractured: Number of fractured vertebrae.
        n_boxes: Number of boxes.
        box_mm: Side of at least one box (see `StudyTable.boxes`), mm.
        n_slices: Number of slices in the volume.
        spacing_mm: Distance of slices, mm.
        flags: Columns of `core.dataset.quality.FLAG_COLUMNS`, all of which the study has.
        text: Part of the study's id, ignoring case.
    """

    fractured: bool | None = None
    vertebrae: tuple[str, ...] = ()
    n_fractured: int | None = None
    n_boxes: Span | None = None
    box_mm: Span | None = None
    n_slices: Span | None = None
    spacing_mm: Span | None = None
    flags: tuple[str, ...] = ()
    text: str = ""

    def without(self, part: str) -> StudyFilter:
        """Return the filter without one of its conditions."""
        return replace(self, **{part: getattr(_EVERYTHING, part)})

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the conditions that are set, in order."""
        names = StudyFilter.__slots__
        return tuple(n for n in names if getattr(self, n) != getattr(_EVERYTHING, n))


_EVERYTHING: Final = StudyFilter()


@dataclass(frozen=True, slots=True, eq=False)
class StudyTable:
    """The studies of an index as columns.

    Attributes:
        studies: One row per study, by study_id: those of `DataIndex.studies` with `bytes` (of its
            files, int64), `n_fractured` (0..7, -1 where unlabelled) and `n_flags`.
        labels: int8 (n, 8), patient_overall and C1..C7; -1 where unlabelled.
        flags: bool (n, flags), in the order of `FLAG_COLUMNS`.
        boxes: One row per box: `study` (its row in `studies`, int64) and `side_mm` (float64: the
            side of a square of the same area; NaN if the pixel spacing is unknown).
        synthetic: Whether the data were generated.
    """

    studies: pd.DataFrame
    labels: NDArray[np.int8]
    flags: NDArray[np.bool_]
    boxes: pd.DataFrame
    synthetic: bool

    def __len__(self) -> int:
        """Number of studies."""
        return len(self.studies)


def study_table(index: DataIndex, boxes: pd.DataFrame) -> StudyTable:
    """Combine an index and the table of boxes into one table for any number of filters.

    Args:
        index: Index of the data root.
        boxes: `core.dataset.rsna.DataSet.boxes`; those of studies without an index are left out.
    """
    studies = index.studies.reset_index(drop=True)
    row = pd.Index(studies["study_id"]).get_indexer(pd.Index(index.slices["study_id"]))
    file_bytes = index.slices["bytes"].to_numpy(np.float64)
    labels = studies[list(LABEL_COLUMNS)].to_numpy(np.float64, na_value=np.nan)
    coded = np.where(np.isnan(labels), -1, labels).astype(np.int8)
    flags = studies[list(FLAG_COLUMNS)].to_numpy(np.bool_)
    known = coded[:, 0] >= 0
    return StudyTable(
        studies=studies.assign(
            # As float64, exact up to 2^53 bytes; files of unlisted studies are ignored.
            bytes=np.bincount(row + 1, file_bytes, len(studies) + 1)[1:].astype(np.int64),
            n_fractured=np.where(known, (coded[:, 1:] > 0).sum(axis=1), -1),
            n_flags=flags.sum(axis=1),
        ),
        labels=coded,
        flags=flags,
        boxes=_boxes(boxes, studies, index.slices),
        synthetic=index.synthetic,
    )


def select(table: StudyTable, wanted: StudyFilter) -> NDArray[np.bool_]:
    """Find the studies that pass a filter, bool (n,).

    Raises:
        ValueError: The filter names a vertebra or a flag that does not exist.
    """
    studies = table.studies
    passes = np.ones(len(table), dtype=np.bool_)
    if wanted.fractured is not None:
        passes &= table.labels[:, 0] == int(wanted.fractured)
    for name in wanted.vertebrae:
        passes &= table.labels[:, LABEL_COLUMNS.index(name)] > 0
    for flag in wanted.flags:
        passes &= table.flags[:, FLAG_COLUMNS.index(flag)]
    if wanted.n_fractured is not None:
        passes &= studies["n_fractured"].to_numpy() == wanted.n_fractured
    columns = {
        "n_boxes": wanted.n_boxes, "n_slices": wanted.n_slices, "z_spacing_mm": wanted.spacing_mm,
    }  # fmt: skip
    for column, span in columns.items():
        if span is not None:
            passes &= _within(studies[column].to_numpy(np.float64), span)
    if wanted.box_mm is not None:
        fitting = _within(table.boxes["side_mm"].to_numpy(np.float64), wanted.box_mm)
        count = np.bincount(table.boxes["study"].to_numpy()[fitting], minlength=len(table))
        passes &= count > 0
    if wanted.text:
        passes &= studies["study_id"].str.contains(wanted.text, case=False, regex=False).to_numpy()
    return passes


def _within(values: NDArray[np.float64], span: Span) -> NDArray[np.bool_]:
    return (values >= span[0]) & (values < span[1])


def _boxes(boxes: pd.DataFrame, studies: pd.DataFrame, slices: pd.DataFrame) -> pd.DataFrame:
    row = pd.Index(studies["study_id"]).astype(object).get_indexer(
        pd.Index(boxes["study_id"]).astype(object)
    )  # fmt: skip
    kept = boxes.loc[row >= 0]
    row = row[row >= 0].astype(np.int64)
    area = (kept["right"] - kept["left"]) * (kept["bottom"] - kept["top"])
    # Boxes are in pixels of the files, which may lie in another plane than the volume's slices.
    files = slices.loc[slices["slice_index"] == 0].set_index("study_id")["row_mm"]
    pixel_mm = files.reindex(kept["study_id"]).to_numpy(np.float64)
    return pd.DataFrame({"study": row, "side_mm": np.sqrt(area.to_numpy(np.float64)) * pixel_mm})
