"""Storage of uploads: written to disk, unpacked within limits, deleted when they are stale."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from core.config import Settings
from core.dicom.zip_archive import extract_dicom_archive
from core.errors import ArchiveError, CSpineError, StorageError
from core.system.disk_space import check_quota, check_space, tree_bytes
from core.types import Progress
from dashboard.studies.held_uploads import remove_abandoned

Arrived = Path | BinaryIO
"""A file that a browser has sent: on disk, or in memory where there is no server."""
KEEP_SECONDS: Final = 24 * 3600
UNPACKED_TO_ZIPPED: Final = 4
"""CT slices shrink to a half or a third in a zip; an archive that expands more is refused."""
_CHUNK: Final = 1 << 20
_CHECK_SECONDS: Final = 1.0


def unpack_upload(
    archive: Arrived, *, session: str, settings: Settings, progress: Progress | None = None
) -> Path:
    """Unpack an uploaded zip below `var/uploads/<session>/`, replacing the previous upload.

    Args:
        archive: The archive.
        session: Name of the browser session, safe as a folder name.
        settings: Upload folder and size limits.
        progress: Called with files unpacked and files in all, both 0 while the archive is being
            read through; an exception that it raises ends the work.

    Returns:
        Folder of the content; the same archive always gives the same folder.

    Raises:
        ArchiveError: The archive is unsafe, too large or holds no DICOM.
        StorageError: The disk or the quota is full, or the folder cannot be written.
    """
    own = _own_folder(session, settings)
    _check_room(own, 0 if isinstance(archive, Path) else _bytes_of(archive), settings)
    progress = within_quota(session, settings, progress)
    try:
        _make_private(own)
        with _opened(archive) as stream:
            target = own / _digest(stream, progress)
            # Including the same archive: it may have been unpacked only in part.
            _remove_others(own, keep=set())
            limit = UNPACKED_TO_ZIPPED * (settings.max_upload_mib << 20)
            return extract_dicom_archive(stream, target, max_bytes=limit, progress=progress)
    except OSError as error:
        raise _not_stored(error) from error
    except CSpineError:
        _remove_others(own, keep=set())
        raise


def store_files(
    files: Sequence[Arrived],
    *,
    session: str,
    settings: Settings,
    progress: Progress | None = None,
) -> Path:
    """Store an uploaded folder below `var/uploads/<session>/`, replacing the previous upload.

    The files are numbered, as their own names may contain the name of a patient.

    Args:
        files: The files.
        session: As for `unpack_upload`.
        settings: As for `unpack_upload`; the limit holds for all files together.
        progress: As for `unpack_upload`.

    Returns:
        Folder of the files.

    Raises:
        ArchiveError: There is no file, or they are too large together.
        StorageError: The disk is full or the folder cannot be written.
    """
    if not files:
        raise ArchiveError("The folder holds no files; choose the one with the DICOM files.")
    # Files on disk have been counted as they arrived.
    in_memory = sum(_bytes_of(one) for one in files if not isinstance(one, Path))
    progress = within_quota(session, settings, progress)
    left = settings.max_upload_mib << 20
    with fresh_folder(session, settings, needed=in_memory) as target:
        for number, one in enumerate(files):
            progress(number, len(files))
            left -= _copy(one, target / f"{number:05}.dcm", left)
            if left < 0:
                raise ArchiveError(
                    f"The folder is larger than {settings.max_upload_mib} MiB; upload one "
                    "series at a time."
                )
    return target


@contextlib.contextmanager
def fresh_folder(session: str, settings: Settings, *, needed: int = 0) -> Generator[Path]:
    """Yield a new folder in the place of a session's last upload; it goes if the block fails.

    Args:
        session: As for `unpack_upload`.
        settings: As for `unpack_upload`.
        needed: Bytes that will be written, as far as they are known.

    Raises:
        StorageError: The disk or the quota is full, or the folder cannot be written.
    """
    own = _own_folder(session, settings)
    _check_room(own, needed, settings)
    target = own / f"files-{time.time_ns()}"
    try:
        _make_private(own)
        target.mkdir()
        _remove_others(own, keep={target})
        yield target
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise _not_stored(error) from error
    except CSpineError:
        shutil.rmtree(target, ignore_errors=True)
        raise


def within_quota(session: str, settings: Settings, progress: Progress | None) -> Progress:
    """Progress that ends the work when the uploads outgrow their quota or the disk.

    What an archive unpacks to, and the voxels of its files, are known only once they are written.

    Args:
        session: Session whose upload is being stored or read.
        settings: Upload folder, quota and space to keep free.
        progress: Called as the returned function is.
    """
    own, checked = settings.cspine_var / "uploads" / session, 0.0

    def report(done: int, total: int) -> None:
        nonlocal checked
        if time.monotonic() - checked >= _CHECK_SECONDS:
            check_space(own, 0, settings.keep_free_bytes)
            check_quota(own.parent, 0, settings.upload_quota_gib)
            checked = time.monotonic()
        if progress is not None:
            progress(done, total)

    return report


@contextlib.contextmanager
def _opened(one: Arrived) -> Generator[BinaryIO]:
    if isinstance(one, Path):
        with one.open("rb") as stream:
            yield stream
    else:
        one.seek(0)
        yield one


def _copy(one: Arrived, target: Path, limit: int) -> int:
    """Copy a file and return its size; stops one piece after `limit` bytes."""
    size = 0
    with _opened(one) as stream, target.open("wb") as file:
        while size <= limit and (piece := stream.read(_CHUNK)):
            size += file.write(piece)
    return size


def _digest(stream: BinaryIO, progress: Progress) -> str:
    """16 digits of the digest of a stream's content."""
    digest = hashlib.sha256()
    while piece := stream.read(_CHUNK):
        progress(0, 0)
        digest.update(piece)
    stream.seek(0)
    return digest.hexdigest()[:16]


def _bytes_of(stream: BinaryIO) -> int:
    return stream.seek(0, os.SEEK_END)


def _not_stored(error: OSError) -> StorageError:
    return StorageError(
        f"The upload cannot be stored ({error.strerror}); free some space and try again."
    )


def _own_folder(session: str, settings: Settings) -> Path:
    uploads = settings.cspine_var / "uploads"
    # Medical images should not accumulate on disk: without an open tab they go after a day.
    remove_abandoned(settings, older_than_s=KEEP_SECONDS)
    return uploads / session


def discard_uploads(session: str, settings: Settings) -> None:
    """Remove the uploads of a session; arguments as for `unpack_upload`."""
    own = _own_folder(session, settings)
    if own.is_dir():
        _remove_others(own, keep=set())


def _check_room(own: Path, needed: int, settings: Settings) -> None:
    """Check that an upload fits on the disk and in the quota.

    Raises:
        StorageError: It does not fit.
    """
    check_space(own, needed, settings.keep_free_bytes)
    # This upload replaces the previous one of the session.
    check_quota(own.parent, max(needed - tree_bytes(own), 0), settings.upload_quota_gib)


def _remove_others(folder: Path, *, keep: set[Path]) -> None:
    for entry in folder.iterdir():
        if entry in keep:
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _make_private(own: Path) -> None:
    """Make a session's folder, into which only the server's user may look."""
    own.parent.mkdir(parents=True, exist_ok=True)
    own.mkdir(mode=0o700, exist_ok=True)
    own.chmod(0o700)
