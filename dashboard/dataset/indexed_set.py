"""Indexed data sets, cached while their files are unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.dataset.index import INDEX_FILE, STUDIES_FILE, index_folder, load_index
from core.dataset.rsna import BOXES_FILE, IMAGES_FOLDER, LABELS_FILE, read_data_set
from core.dataset.slice_table import check_boxes
from core.dataset.statistics import distribution_edges
from core.dataset.study_table import StudyTable, study_table
from core.types import StudyRecord
from dashboard.session.settings import settings
from dashboard.studies.cohort import files_signature


@dataclass(frozen=True, slots=True, eq=False)
class IndexedSet:
    """A data set that has an index.

    Attributes:
        root: Data root.
        table: Table of the studies.
        edges: Intervals of the distributions, by name.
        records: Study records by study id.
        problems: Sentences on wrong rows of the tables.
        outdated: Whether tables or folders changed after indexing.
        signature: Key that changes with the content.
    """

    root: Path
    table: StudyTable
    edges: dict[str, NDArray[np.float64]]
    records: dict[str, StudyRecord]
    problems: tuple[str, ...]
    outdated: bool
    signature: str


def indexed_set(root: Path) -> IndexedSet | None:
    """Load an indexed data set, cached while its files are unchanged; None without an index.

    Raises:
        DataRootError: The folder is not in RSNA's layout.
    """
    root = root.absolute()
    folder = index_folder(root, settings().rsna_cache.absolute())
    tables = (root / LABELS_FILE, root / BOXES_FILE, root / IMAGES_FOLDER)
    built = folder / STUDIES_FILE
    if not built.is_file():
        return None
    return _indexed_set(str(root), files_signature(folder / INDEX_FILE, built, *tables))


@st.cache_resource(max_entries=4, show_spinner="Reading the index …")
def _indexed_set(root: str, signature: str) -> IndexedSet | None:
    path, cache_dir = Path(root), settings().rsna_cache.absolute()
    index = load_index(path, cache_dir)
    if index is None:
        return None
    data_set = check_boxes(read_data_set(path), index.slices)
    table = study_table(index, data_set.boxes)
    built = (index.folder / STUDIES_FILE).stat().st_mtime_ns
    sources = (path / LABELS_FILE, path / BOXES_FILE, path / IMAGES_FOLDER)
    return IndexedSet(
        root=path,
        table=table,
        edges=distribution_edges(table),
        records={record.study_id: record for record in data_set.studies},
        problems=tuple(problem.sentence(problem.file.name) for problem in data_set.problems),
        outdated=any(s.exists() and s.stat().st_mtime_ns > built for s in sources),
        signature=signature,
    )
