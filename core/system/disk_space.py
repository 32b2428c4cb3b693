"""Check free disk space and quotas before writing something large."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path
from typing import Final

from core.errors import StorageError

_GIB: Final = 1 << 30


def check_space(folder: Path, needed: int, keep_free: int) -> None:
    """Check that a folder's disk has room for `needed` bytes and keeps some free.

    A full disk affects every program on the machine, so this one stops before that.

    Args:
        folder: Folder to write to; it need not exist yet.
        needed: Bytes to be written.
        keep_free: Bytes that stay free (MIN_FREE_GIB).

    Raises:
        StorageError: There is too little space.
    """
    place = next((one for one in (folder, *folder.absolute().parents) if one.exists()), Path("/"))
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        # The write itself fails if there is no space after all.
        return
    if free - needed < keep_free:
        raise StorageError(
            f"{folder} needs {needed / _GIB:.2f} GiB, but its disk has {free / _GIB:.2f} GiB free "
            f"and keeps {keep_free / _GIB:g} GiB of that (MIN_FREE_GIB); free some space."
        )


def check_quota(folder: Path, needed: int, quota_gib: float) -> None:
    """Check that the uploads of all sessions stay within their quota.

    Args:
        folder: Folder of all uploads.
        needed: Bytes to be added.
        quota_gib: Quota of all uploads together (UPLOAD_QUOTA_GIB).

    Raises:
        StorageError: The quota would be exceeded.
    """
    used = tree_bytes(folder)
    if used + needed > quota_gib * _GIB:
        raise StorageError(
            f"The uploads of all sessions take {used / _GIB:.2f} of {quota_gib:g} GiB "
            f"(UPLOAD_QUOTA_GIB) and this one needs {needed / _GIB:.2f} GiB; try again when others "
            "have closed theirs."
        )


def tree_bytes(folder: Path) -> int:
    """Total size in bytes of all files below a folder; 0 if it does not exist."""
    total = 0
    # Another session may remove its files meanwhile. `os.walk` leaves out folders that vanish;
    # `Path.rglob` raises for them.
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                about = Path(place, name).lstat()
                total += about.st_size if stat.S_ISREG(about.st_mode) else 0
    return total
