"""Uploaded archives: spooled to disk, unpacked within limits, removed when they are stale."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from pathlib import Path
from typing import BinaryIO, Final

from core.config import Settings
from core.data.archive import extract_dicom_archive
from core.errors import CSpineError, StorageError

KEEP_SECONDS: Final = 24 * 3600
UNPACKED_TO_ZIPPED: Final = 4
"""CT slices shrink to a half or a third in a zip; an archive that swells more is refused."""
_CHUNK: Final = 1 << 20


def unpack_upload(stream: BinaryIO, *, session: str, settings: Settings) -> Path:
    """Unpack an uploaded zip below `var/uploads/<session>/`; the session's last one goes.

    Args:
        stream: The archive, read from its start.
        session: Name of the browser session, safe as a folder name.
        settings: Where to, and how large the files may be.

    Returns:
        The folder that holds the series; the same archive again gives the same folder.

    Raises:
        ArchiveError: The archive is unsafe, too large or holds no DICOM.
        StorageError: The disk is full or the folder cannot be written.
    """
    uploads = settings.cspine_var / "uploads"
    own = uploads / session
    _remove_stale(uploads)
    try:
        own.mkdir(parents=True, exist_ok=True)
        spooled, digest = _spool(stream, own)
    except OSError as error:
        raise StorageError(
            f"The upload cannot be stored ({error.strerror}); free some space and try again."
        ) from error
    target = own / digest
    _remove_others(own, keep={spooled, target})
    try:
        limit = UNPACKED_TO_ZIPPED * (settings.max_upload_mib << 20)
        return extract_dicom_archive(spooled, target, max_bytes=limit)
    except CSpineError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        spooled.unlink(missing_ok=True)


def _spool(stream: BinaryIO, folder: Path) -> tuple[Path, str]:
    """Write the stream to disk piece by piece; return the file and 16 digits of its digest."""
    digest = hashlib.sha256()
    path = folder / "upload.zip"
    stream.seek(0)
    with path.open("wb") as spooled:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
            spooled.write(piece)
    return path, digest.hexdigest()[:16]


def _remove_others(folder: Path, *, keep: set[Path]) -> None:
    for entry in folder.iterdir():
        if entry in keep:
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _remove_stale(uploads: Path) -> None:
    """Remove sessions untouched for a day: medical images should not gather on a disk."""
    if not uploads.is_dir():
        return
    oldest = time.time() - KEEP_SECONDS
    for entry in uploads.iterdir():
        with contextlib.suppress(OSError):
            if entry.is_dir() and entry.stat().st_mtime < oldest:
                shutil.rmtree(entry, ignore_errors=True)
