"""Schemas of the tables in RSNA's layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.csv_reader import RAGGED
from core.dataset.csv_table import rule

UID: Final = "StudyInstanceUID"
OVERALL: Final = "patient_overall"
LABEL_COLUMNS: Final = (OVERALL, *VERTEBRAE)
BOX_COLUMNS: Final = ("x", "y", "width", "height", "slice_number")
ALIASES: Final = {UID: ("study_id", "study", "uid"), OVERALL: ("overall",)}
"""Other names of columns; case, blanks and underscores never matter."""

SLICE_ROLES: Final = ("slice", "duplicate")
"""Roles of files whose position is in the volume; a duplicate repeats a position."""

_MAX_SLICE_NUMBER: Final = 2**31 - 1
"""InstanceNumber is an integer string of at most 2^31 - 1 (DICOM PS3.5, VR IS)."""

_EDGE_PX: Final = 0.01
"""Tolerance of x + width at the image edge: the table's numbers are rounded."""


def _agrees(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return False where another row labels the same study differently."""
    rows = table[UID].groupby(table[UID]).transform("size")
    alike = table.groupby([UID, *LABEL_COLUMNS], dropna=False)[UID].transform("size")
    return np.asarray((rows == alike) | (table[UID] == ""))


def _first_of_its_kind(table: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.bool_]:
    return np.asarray(~table.duplicated(list(columns)) | (table[UID] == ""))


def _overall_is_largest(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return whether patient_overall is the maximum; True if a value is no label."""
    labels = table[list(LABEL_COLUMNS)].to_numpy(np.float64)
    no_label = ~np.isin(labels, (0, 1)).all(axis=1)
    return (labels[:, 0] == labels[:, 1:].max(axis=1)) | no_label


def _number_column(name: str, *more: pa.Check) -> pa.Column:
    is_number = rule(np.isfinite, name, f"{name} is not a number", "correct the value")
    return pa.Column(float, [is_number, *more], nullable=True)


_ROW: Final[dict[str, pa.Column]] = {
    RAGGED: pa.Column(
        np.int64,
        [
            rule(lambda n: n >= 0, RAGGED, "it has too few values", "fill them in"),
            rule(lambda n: n <= 0, RAGGED, "it has too many values", "remove some"),
        ],
    ),
    UID: pa.Column(None, rule(lambda u: u != "", UID, f"{UID} is empty", "fill it in")),
}

LABELS: Final = pa.DataFrameSchema(
    _ROW
    | {
        name: pa.Column(
            float,
            rule(lambda v: v.isin([0, 1]), name, f"{name} must be 0 or 1", "correct the value"),
            nullable=True,
        )
        for name in LABEL_COLUMNS
    },
    checks=[
        rule(
            _overall_is_largest, OVERALL, f"{OVERALL} is not the largest of C1..C7",
            "correct the labels",
        ),
        rule(
            _agrees, UID, "another line labels the same study differently",
            "keep the right one",
        ),
        rule(
            lambda t: _first_of_its_kind(t, [UID, *LABEL_COLUMNS]),
            UID, "the study occurs in an earlier line", "remove one",
        ),
    ],
)  # fmt: skip
"""`train.csv`: one row per study, labels 0 or 1, patient_overall = max(C1..C7)."""

BOXES: Final = pa.DataFrameSchema(
    _ROW
    | {
        name: _number_column(
            name,
            rule(
                lambda v: ~(v < 0), name, f"{name} is below 0, outside the image", "correct the box"
            ),
        )
        for name in ("x", "y")
    }
    | {
        name: _number_column(
            name,
            rule(lambda v: ~(v <= 0), name, "width and height must be above 0", "correct the box"),
        )
        for name in ("width", "height")
    }
    | {
        "slice_number": _number_column(
            "slice_number",
            rule(
                lambda v: ~np.isfinite(v) | (v.between(0, _MAX_SLICE_NUMBER) & (v % 1 == 0)),
                "slice_number", "slice_number must be a whole number of 0 or more", "correct it",
            ),
        )
    },
    checks=rule(
        lambda t: _first_of_its_kind(t, [UID, *BOX_COLUMNS]),
        UID, "the same box occurs in an earlier line", "remove one",
    ),
)  # fmt: skip
"""`train_bounding_boxes.csv`: boxes of positive size that begin inside their image."""


def _inside(table: pd.DataFrame, edge: str, size: str) -> NDArray[np.bool_]:
    """Return whether the box's edge lies within its image; True if there is no such slice."""
    past = table[edge].to_numpy(np.float64) > table[size].to_numpy(np.float64) + _EDGE_PX
    return ~past | ~np.asarray(table["role"].isin(SLICE_ROLES))


PLACED_BOXES: Final = pa.DataFrameSchema(
    {
        "role": pa.Column(
            None,
            [
                rule(
                    lambda role: role.notna(),
                    "slice_number", "its study has no slice of that number",
                    "correct slice_number, or copy the missing file",
                ),
                rule(
                    lambda role: role.isna() | role.isin(SLICE_ROLES),
                    "slice_number", "the file of that slice_number is not a slice of the CT volume",
                    "correct slice_number",
                ),
            ],
            nullable=True,
        )
    },
    checks=[
        rule(
            lambda t: _inside(t, "right", "cols"),
            "x", "x + width lies past the image's right edge", "correct the box",
        ),
        rule(
            lambda t: _inside(t, "bottom", "rows"),
            "y", "y + height lies past the image's lower edge", "correct the box",
        ),
    ],
)  # fmt: skip
"""Boxes joined with the index's row of their slice: it exists and contains the box."""
