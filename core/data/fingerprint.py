"""A folder's content as one string, to key caches with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from core.errors import DicomSeriesError


def fingerprint_folder(folder: Path) -> str:
    """Return the SHA-256 (64 hex digits) of the files lying in `folder`.

    Only contents count: renaming, touching or copying the files changes nothing. Hidden files and
    sub-folders are left out, as `read_series` leaves them out.

    Raises:
        DicomSeriesError: The folder or one of its files cannot be read.
    """
    digests = []
    try:
        for path in folder.iterdir():
            if path.is_file() and not path.name.startswith("."):
                with path.open("rb") as stream:
                    digests.append(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise DicomSeriesError(
            folder, f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()
