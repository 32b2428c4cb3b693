"""Imported predictions, kept below var/imports so that links to them keep working."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.config import Settings
from core.errors import PredictionsError, StorageError
from core.evaluation.tables.outside_scores import read_outside_scores
from core.evaluation.tables.score_files import read_score_table
from core.system import atomic_files
from dashboard.background.processes import remove_folder
from dashboard.session.access import check_allowed
from dashboard.session.typed_path import browsable

MAX_CSV_MIB: Final = 64
"""The competition's format of the full set is below 2 MiB."""
_ENTRY: Final = "import.json"
_SCORES: Final = "scores.csv"


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """One imported model.

    Attributes:
        import_id: Name of its folder.
        name: Name that the user gave.
        table: A copied CSV, or a folder or Parquet file elsewhere.
        truth_id: Id of its truth; "" where a path was given.
        truth_path: Path of its truth; None where an id was given.
    """

    import_id: str
    name: str
    table: Path
    truth_id: str
    truth_path: Path | None


def list_imports(settings: Settings) -> list[ImportedModel]:
    """All imports, the oldest first; unreadable ones are left out."""
    found: list[tuple[float, ImportedModel]] = []
    # A name with a dot is an import whose removal was interrupted.
    for folder in imports_root(settings).glob("[!.]*"):
        try:
            entry = json.loads((folder / _ENTRY).read_text())
            path = entry["truth_path"]
            model = ImportedModel(
                folder.name, str(entry["name"]), folder / entry["table"],
                str(entry["truth_id"]), Path(path) if path else None,
            )  # fmt: skip
            found.append((float(entry["created"]), model))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [model for _, model in sorted(found, key=lambda pair: (pair[0], pair[1].import_id))]


def import_csv(
    settings: Settings, name: str, content: bytes, *, truth_id: str, truth_path: Path | None = None
) -> ImportedModel:
    """Copy a CSV of another model.

    Args:
        settings: Settings with the folder of imports.
        name: Name of the model.
        content: Content of the file.
        truth_id: Id of its truth; "" where `truth_path` is given.
        truth_path: A `train.csv`, a truth table or a data root.

    Raises:
        PredictionsError: The dashboard is read-only, the file is too large or has neither layout.
        DataRootError: The user may not open the truth.
        StorageError: It cannot be written.
    """
    _check_allowed()
    truth_path = None if truth_path is None else browsable(truth_path)
    if len(content) > MAX_CSV_MIB << 20:
        raise PredictionsError(
            f"The file is larger than {MAX_CSV_MIB} MiB; keep one row per study (or eight in the "
            "competition's format)."
        )
    folder = _new_folder(settings, name, content)
    atomic_files.write_bytes(folder / _SCORES, content)
    try:
        read_outside_scores(folder / _SCORES, name)
    except PredictionsError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _write_entry(folder, name, _SCORES, truth_id, truth_path)


def import_folder(
    settings: Settings, name: str, path: Path, *, truth_id: str, truth_path: Path | None = None
) -> ImportedModel:
    """Refer to a folder that `core predict` wrote, or to a table like its `slices.parquet`.

    Raises:
        PredictionsError: The dashboard is read-only, or the table cannot be read.
        DataRootError: The user may not open the folder or the truth.
        StorageError: The entry cannot be written.
    """
    _check_allowed()
    path = browsable(path)
    truth_path = None if truth_path is None else browsable(truth_path)
    read_score_table(path, name)
    folder = _new_folder(settings, name, str(path).encode())
    return _write_entry(folder, name, str(path), truth_id, truth_path)


def forget_import(settings: Settings, import_id: str) -> None:
    """Remove an import; tables elsewhere are kept.

    Raises:
        PredictionsError: The dashboard is read-only, or there is no such import.
        StorageError: It cannot be removed.
    """
    _check_allowed()
    known = {entry.import_id for entry in list_imports(settings)}
    if import_id not in known:
        raise PredictionsError(f"There is no import {import_id}; reload the page.")
    remove_folder(imports_root(settings) / import_id, f"Import {import_id}")


def imports_root(settings: Settings) -> Path:
    """Folder of the imports."""
    return settings.cspine_var / "imports"


def _check_allowed() -> None:
    check_allowed("change", PredictionsError, "to import predictions")


def _new_folder(settings: Settings, name: str, content: bytes) -> Path:
    if not name.strip():
        raise PredictionsError("The model needs a name; type one.")
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in name.strip().lower())[:40]
    digest = hashlib.sha256(name.encode() + b"\0" + content).hexdigest()[:8]
    folder = imports_root(settings) / f"{stem}-{digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be made ({error.strerror}); set CSPINE_VAR to a folder you can "
            "write to."
        ) from error
    return folder


def _write_entry(
    folder: Path, name: str, table: str, truth_id: str, truth_path: Path | None
) -> ImportedModel:
    entry = {
        "name": name.strip(),
        "table": table,
        "truth_id": truth_id,
        "truth_path": None if truth_path is None else str(truth_path),
        "created": time.time(),
    }
    atomic_files.write_json(folder / _ENTRY, entry)
    return ImportedModel(folder.name, name.strip(), folder / table, truth_id, truth_path)
