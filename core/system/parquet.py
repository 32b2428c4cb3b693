"""Parquet tables whose faults come with a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa

from core.errors import CSpineError
from core.system.atomic_files import atomic_path

Compression = Literal["snappy", "zstd"]


def read_parquet(
    file: Path, columns: Sequence[str], error: type[CSpineError], remedy: str
) -> pd.DataFrame:
    """Read a table that needs certain columns.

    Args:
        file: To read.
        columns: That it must have; others are read too.
        error: Raised where something is wrong.
        remedy: What the reader can do about it, the end of the message.

    Raises:
        CSpineError: As `error`: the file is missing, broken or lacks a column.
    """
    if not file.is_file():
        raise error(f"{file} does not exist; {remedy}.")
    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError, pa.ArrowException) as cause:
        raise error(f"{file} cannot be read as Parquet; {remedy}.") from cause
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise error(f"{file} lacks the column {missing[0]}; {remedy}.")
    return table


def write_parquet(
    file: Path,
    table: pd.DataFrame,
    *,
    compression: Compression = "snappy",
    level: int | None = None,
) -> None:
    """Write a table without its index, atomically.

    Args:
        file: Replaced; its folder is made where it does not exist.
        table: To write.
        compression: Of the columns.
        level: Of the compression; the codec's own if None.

    Raises:
        StorageError: The file cannot be written.
    """
    with atomic_path(file) as temporary:
        table.to_parquet(temporary, index=False, compression=compression, compression_level=level)
