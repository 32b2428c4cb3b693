"""Read and write Parquet tables; errors name the remedy."""

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
    """Read a table and check that it has certain columns.

    Args:
        file: Parquet file.
        columns: Required columns; others are read too.
        error: Type of the error raised.
        remedy: What the user can do, the end of the message.

    Raises:
        CSpineError: Of type `error`: the file is missing, unreadable or lacks a column.
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
        file: File to replace; its folder is created if missing.
        table: Table to write.
        compression: Codec of the columns.
        level: Compression level; the codec's default if None.

    Raises:
        StorageError: The file cannot be written.
    """
    with atomic_path(file) as temporary:
        table.to_parquet(temporary, index=False, compression=compression, compression_level=level)
