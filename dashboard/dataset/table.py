"""Table of the studies that pass the filter, with search, columns and download."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.quality import FLAGS
from core.dataset.study_table import StudyFilter
from core.system.csv_text import frame_csv
from core.types import StudyId
from dashboard.dataset.indexed_set import IndexedSet
from dashboard.session import state
from dashboard.studies.pictures import WantedPicture
from dashboard.widgets.frame import blank
from dashboard.widgets.pictures import picture_url

PICTURE: Final = "Picture"
COLUMNS: Final = {
    PICTURE: None,
    "Study": "study_id",
    "Fractured": "patient_overall",
    "Vertebrae": None,
    "Slices": "n_slices",
    "Slice distance (mm)": "z_spacing_mm",
    "Thickness (mm)": "thickness_mm",
    "Pixel (mm)": "row_mm",
    "Coverage (mm)": "coverage_mm",
    "Rows": "rows",
    "Columns": "cols",
    "Boxes": "n_boxes",
    "Mask": "has_mask",
    "Size (MiB)": None,
    "Flags": None,
}
"""Column of the index by heading; None where the values are computed.

All but the picture are in the CSV file as well.
"""

SHOWN_AT_FIRST: Final = (
    PICTURE, "Study", "Fractured", "Vertebrae", "Slices", "Slice distance (mm)", "Boxes", "Mask",
    "Flags",
)  # fmt: skip


def dataset_table(data: IndexedSet, data_set: str, wanted: StudyFilter,
                  passes: NDArray[np.bool_], serial: int) -> None:  # fmt: skip
    """List the studies; a click on a row opens it below.

    Args:
        data: The data set.
        data_set: Key of the data set.
        wanted: Current filter, including the search text.
        passes: bool (n,), the studies to list.
        serial: As in `dataset_charts`.
    """
    rows = study_rows(data, passes)
    with st.container(horizontal=True, key="table_tools", vertical_alignment="bottom"):
        st.text_input(
            "Search by study id", key=state.SEARCH_KEY, icon=":material/search:", width=260,
            on_change=lambda: _search(data_set, wanted),
        )  # fmt: skip
        with st.popover("Columns", icon=":material/view_column:"):
            columns = st.pills(
                "Columns of the table", list(COLUMNS), selection_mode="multi",
                default=list(SHOWN_AT_FIRST), key="table_columns", persist_state="session",
            )  # fmt: skip
        st.download_button(
            f"Download {len(rows):,} rows", lambda: frame_csv(rows), "studies.csv",
            "text/csv", icon=":material/download:", disabled=rows.empty, on_click="ignore",
        )  # fmt: skip
    if rows.empty:
        blank("No study passes the filters; remove a filter above.")
        return
    key = f"studies_{serial}"

    def choose() -> None:
        row = state.clicked_row(key)
        if row is not None:
            state.open_dataset_study(data_set, str(rows["Study"].iloc[row]))

    st.dataframe(
        _shown(rows, data.root),
        key=key,
        on_select=choose,
        selection_mode=state.ROW_CLICKS,
        hide_index=True,
        column_order=[name for name in COLUMNS if name in columns] or list(SHOWN_AT_FIRST),
        row_height=_ROW_PX,
        height=min(38 + _ROW_PX * len(rows), 440),
        column_config=_FORMATS,
    )
    st.caption("Click a row to open the study; click a heading to sort.")


def study_rows(data: IndexedSet, passes: NDArray[np.bool_]) -> pd.DataFrame:
    """Rows of the table and the CSV file, one per study."""
    studies = data.table.studies.loc[passes]
    labels, flags = data.table.labels[passes][:, 1:], data.table.flags[passes]
    titles = [flag.title for flag in FLAGS]
    made: dict[str, Any] = {
        "Vertebrae": _joined(labels > 0, list(VERTEBRAE)),
        "Size (MiB)": (studies["bytes"] / 2**20).round(1),
        "Flags": _joined(flags, titles),
    }
    return pd.DataFrame(
        {name: made[name] if source is None else studies[source]
         for name, source in COLUMNS.items() if name != PICTURE}
    ).reset_index(drop=True)  # fmt: skip


def _shown(rows: pd.DataFrame, root: Path) -> pd.DataFrame:
    """The rows as they are listed: with pictures, and words where a box would invite a click."""
    words = {name: rows[name].map(_word) for name in ("Fractured", "Mask")}
    pictures = [picture_url(WantedPicture(StudyId(study), None, root, predicted=False))
                for study in rows["Study"]]  # fmt: skip
    return rows.assign(**words, **{PICTURE: pictures})


def _word(value: object) -> str:
    """“yes” or “no”; empty where it is not known."""
    return "" if pd.isna(cast(Any, value)) else "yes" if value else "no"


_ROW_PX: Final = 56
_FORMATS: Final[dict[str, Any]] = {
    PICTURE: st.column_config.ImageColumn(
        width=70, help="Slice with the middle box, or the middle slice, in the bone window."
    ),
    "Study": st.column_config.TextColumn(width="medium", pinned=True),
    "Slice distance (mm)": st.column_config.NumberColumn(format="%.2f"),
    "Thickness (mm)": st.column_config.NumberColumn(format="%.2f"),
    "Pixel (mm)": st.column_config.NumberColumn(format="%.3f"),
    "Coverage (mm)": st.column_config.NumberColumn(format="%.0f"),
    "Size (MiB)": st.column_config.NumberColumn(format="%.1f"),
}


def _joined(marks: NDArray[np.bool_], names: list[str]) -> list[str]:
    return [", ".join(names[k] for k in np.flatnonzero(row)) for row in marks]


def _search(data_set: str, wanted: StudyFilter) -> None:
    text = str(state.recall(state.SEARCH_KEY) or "").strip()
    state.filter_studies(data_set, replace(wanted, text=text))
