"""One data root made of several generated cohorts, whose files it links to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from core.constants import SYNTHETIC_WARNING, VERTEBRAE
from core.dataset.csv_reader import read_table
from core.dataset.rsna import IMAGES_FOLDER, LABELS_FILE, MASKS_FOLDER
from core.dataset.tables import UID
from core.errors import StorageError
from core.phantom.cohort import MANIFEST
from core.system.atomic_files import keep_text, write_json
from core.system.csv_text import frame_csv


def join_cohorts(out: Path, roots: Sequence[Path]) -> Path:
    """Make a data root with the images, masks and labels of several cohorts.

    Args:
        out: The data root, made if missing; what is there already stays.
        roots: Data roots of generated cohorts without common studies.

    Returns:
        `out`.

    Raises:
        StorageError: `out` cannot be written.
    """
    try:
        for folder in (IMAGES_FOLDER, MASKS_FOLDER):
            (out / folder).mkdir(parents=True, exist_ok=True)
            for root in roots:
                for source in sorted((root / folder).iterdir()):
                    link = out / folder / source.name
                    if not source.name.startswith(".") and not link.is_symlink():
                        link.symlink_to(source.absolute())
    except OSError as error:
        raise StorageError(
            f"Cannot write {out}: {error.strerror or 'the write failed'}; choose a folder you can "
            "write to."
        ) from error
    columns = [UID, "patient_overall", *VERTEBRAE]
    read = (read_table(root / LABELS_FILE, columns) for root in roots)
    tables = [table for table in read if table is not None]
    labels = pd.concat([table.filter(columns) for table in tables])
    keep_text(out / LABELS_FILE, frame_csv(labels))
    parts = [root.name for root in roots]
    write_json(
        out / MANIFEST, {"synthetic": True, "warning": SYNTHETIC_WARNING, "joined_from": parts}
    )
    return out
