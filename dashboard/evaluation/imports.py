"""Imported predictions, kept below var/imports so that links to them keep working."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.config import Settings
from core.errors import CSpineError, PredictionsError, StorageError
from core.system import atomic_files
from core.system.disk_space import check_space, tree_bytes
from core.system.work_lock import WorkLock
from dashboard.background.budget import IMPORT_BYTES_PER_SESSION, IMPORTS_PER_SESSION
from dashboard.background.processes import make_root, remove_folder
from dashboard.evaluation.named_tables import read_scores
from dashboard.session.access import check_allowed
from dashboard.session.session_end import asking_session
from dashboard.session.typed_path import browsable

MAX_CSV_MIB: Final = 64
"""The competition's format of the full set is below 2 MiB."""
_GIB: Final = 1 << 30
_WAIT_SECONDS: Final = 30.0
ENTRY: Final = "import.json"
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
            entry = json.loads((folder / ENTRY).read_text())
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
    check_import_allowed()
    truth_path = None if truth_path is None else browsable(truth_path)
    if len(content) > MAX_CSV_MIB << 20:
        raise PredictionsError(
            f"The file is larger than {MAX_CSV_MIB} MiB; keep one row per study (or eight in the "
            "competition's format)."
        )
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / _SCORES
        table.write_bytes(content)
        read_scores(table, name)
    folder = import_folder_of(settings, name, content)
    with room_for(settings, folder, len(content)):
        atomic_files.write_bytes(folder / _SCORES, content)
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
    check_import_allowed()
    path = browsable(path)
    truth_path = None if truth_path is None else browsable(truth_path)
    read_scores(path, name)
    folder = import_folder_of(settings, name, str(path).encode())
    with room_for(settings, folder, 0):
        return _write_entry(folder, name, str(path), truth_id, truth_path)


def forget_import(settings: Settings, import_id: str) -> None:
    """Remove an import; tables elsewhere are kept.

    Raises:
        PredictionsError: The dashboard is read-only, or there is no such import.
        StorageError: It cannot be removed.
    """
    check_import_allowed()
    known = {entry.import_id for entry in list_imports(settings)}
    if import_id not in known:
        raise PredictionsError(f"There is no import {import_id}; reload the page.")
    remove_folder(imports_root(settings) / import_id, f"Import {import_id}")


def imports_root(settings: Settings) -> Path:
    """Folder of the imports."""
    return settings.cspine_var / "imports"


def check_import_allowed() -> None:
    """Check that the user may import.

    Raises:
        PredictionsError: The dashboard is read-only.
    """
    check_allowed("change", PredictionsError, "to import predictions")


def import_folder_of(settings: Settings, name: str, content: bytes) -> Path:
    """Folder of an import, by its name and content.

    Raises:
        PredictionsError: The name is empty.
    """
    if not name.strip():
        raise PredictionsError("The import needs a name; type one.")
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in name.strip().lower())[:40]
    digest = hashlib.sha256(name.encode() + b"\0" + content).hexdigest()[:8]
    return imports_root(settings) / f"{stem}-{digest}"


@contextmanager
def room_for(settings: Settings, folder: Path, size: int) -> Generator[None]:
    """Make the folder of an import, if there is room for it among all server processes' imports.

    Raises:
        PredictionsError: There are too many imports.
        StorageError: They would be too large, or the disk is full.
    """
    root = imports_root(settings)
    make_root(root)
    with WorkLock(root / ".lock").held(wait_s=_WAIT_SECONDS, judge=True):
        _check_room(settings, folder, size)
        was_there = folder.is_dir()
        make_root(folder)
        try:
            yield
        except CSpineError:
            if not was_there:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _check_room(settings: Settings, folder: Path, size: int) -> None:
    """Check the number and the size of the imports, of this session and in all.

    Raises:
        PredictionsError: There are too many.
        StorageError: They would be too large, or the disk is full.
    """
    root = imports_root(settings)
    others = [one for one in root.glob("[!.]*") if one != folder]
    session = import_session()
    own = [one for one in others if session and _added_by(one) == session]
    if len(others) >= settings.max_imports:
        raise PredictionsError(
            f"There are {len(others)} imported models already (MAX_IMPORTS); remove one first."
        )
    if len(own) >= IMPORTS_PER_SESSION:
        raise PredictionsError(
            f"This session has added {len(own)} models already; remove one of them first."
        )
    if sum(map(tree_bytes, own)) + size > IMPORT_BYTES_PER_SESSION:
        raise StorageError(
            f"The models that this session has added would take more than "
            f"{IMPORT_BYTES_PER_SESSION >> 20} MiB; remove one of them first."
        )
    if sum(map(tree_bytes, others)) + size > settings.imports_quota_gib * _GIB:
        raise StorageError(
            "The imported models take all the room that they may (IMPORTS_QUOTA_GIB); remove one "
            "first."
        )
    check_space(root, size, settings.keep_free_bytes)


def import_session() -> str:
    """Digest of the session whose page is drawn; "" without one."""
    session = asking_session()
    return hashlib.sha256(session.encode()).hexdigest()[:16] if session else ""


def _added_by(folder: Path) -> str:
    try:
        return str(json.loads((folder / ENTRY).read_text()).get("session", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _write_entry(
    folder: Path, name: str, table: str, truth_id: str, truth_path: Path | None
) -> ImportedModel:
    entry = {
        "name": name.strip(),
        "table": table,
        "truth_id": truth_id,
        "truth_path": None if truth_path is None else str(truth_path),
        "created": time.time(),
        "session": import_session(),
    }
    atomic_files.write_json(folder / ENTRY, entry)
    return ImportedModel(folder.name, name.strip(), folder / table, truth_id, truth_path)
