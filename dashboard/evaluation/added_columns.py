"""Columns that users add to the studies of a truth, kept below var/imports like added models."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.config import Settings
from core.errors import DataRootError, PredictionsError
from core.evaluation.tables.attribute_columns import column_attributes
from core.system import atomic_files
from dashboard.background.processes import remove_folder
from dashboard.evaluation.imports import (
    ENTRY,
    check_import_allowed,
    import_folder_of,
    import_session,
    imports_root,
    room_for,
)
from dashboard.evaluation.named_tables import read_added_columns

MAX_COLUMNS_MIB: Final = 8
"""Twenty columns of the full set are below 1 MiB."""
_TABLE: Final = "columns.csv"


@dataclass(frozen=True, slots=True)
class AddedColumns:
    """One added table.

    Attributes:
        import_id: Name of its folder.
        name: Name for the page.
        table: The copied CSV.
        truth_id: Id of the truth whose studies it describes.
    """

    import_id: str
    name: str
    table: Path
    truth_id: str


def list_added(settings: Settings, truth_id: str) -> list[AddedColumns]:
    """Tables that were added to a truth, the oldest first; unreadable ones are left out."""
    found: list[tuple[float, AddedColumns]] = []
    # A name with a dot is an import whose removal was interrupted.
    for folder in imports_root(settings).glob("[!.]*"):
        try:
            entry = json.loads((folder / ENTRY).read_text())
            if entry["kind"] == "columns" and entry["truth_id"] == truth_id:
                added = AddedColumns(
                    folder.name, str(entry["name"]), folder / _TABLE, truth_id
                )  # fmt: skip
                found.append((float(entry["created"]), added))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].import_id))]


def add_columns(
    settings: Settings, name: str, content: bytes, *, truth_id: str, study_ids: NDArray[np.str_]
) -> Sequence[str]:
    """Copy a CSV with one row per study, if it describes studies of a truth.

    Args:
        settings: Settings with the folder of imports.
        name: Name of the table.
        content: Content of the file.
        truth_id: Id of the truth.
        study_ids: str (n,), its studies.

    Returns:
        Titles of the columns that make groups.

    Raises:
        PredictionsError: The dashboard is read-only, the name is empty, or there are too many
            imports.
        DataRootError: The file is too large or cannot be read, or has no column that makes groups.
        StorageError: It cannot be written.
    """
    check_import_allowed()
    if len(content) > MAX_COLUMNS_MIB << 20:
        raise DataRootError(
            f"The file is larger than {MAX_COLUMNS_MIB} MiB; keep one row per study."
        )
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / _TABLE
        table.write_bytes(content)
        found, _ = column_attributes(read_added_columns(table), study_ids)
    if not found:
        raise DataRootError(
            "No column divides these studies: each has one value only, or text; add one with "
            "groups or numbers."
        )
    folder = import_folder_of(settings, name, content)
    entry = {
        "kind": "columns",
        "name": name.strip(),
        "truth_id": truth_id,
        "created": time.time(),
        "session": import_session(),
    }
    with room_for(settings, folder, len(content)):
        atomic_files.write_bytes(folder / _TABLE, content)
        atomic_files.write_json(folder / ENTRY, entry)
    return [one.title for one in found]


def forget_columns(settings: Settings, added: AddedColumns) -> None:
    """Remove an added table.

    Raises:
        PredictionsError: The dashboard is read-only, or the table is not there any more.
        StorageError: It cannot be removed.
    """
    check_import_allowed()
    if added not in list_added(settings, added.truth_id):
        raise PredictionsError(f"There are no columns {added.import_id}; reload the page.")
    remove_folder(imports_root(settings) / added.import_id, f"Columns {added.import_id}")
