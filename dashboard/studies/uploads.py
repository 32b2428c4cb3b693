"""Storage of uploads: written to disk, unpacked within limits, deleted when they are stale."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import streamlit as st
from filelock import FileLock, Timeout

from core.config import Settings
from core.dicom.zip_archive import extract_dicom_archive
from core.errors import ArchiveError, CSpineError, StorageError
from core.system.disk_space import check_quota, check_space, tree_bytes
from core.types import Progress
from dashboard.session.settings import settings

_LOCKS: Final = ".sessions"
KEEP_SECONDS: Final = 24 * 3600
UNPACKED_TO_ZIPPED: Final = 4
"""CT slices shrink to a half or a third in a zip; an archive that expands more is refused."""
_CHUNK: Final = 1 << 20


def unpack_upload(
    stream: BinaryIO, *, session: str, settings: Settings, progress: Progress | None = None
) -> Path:
    """Unpack an uploaded zip below `var/uploads/<session>/`, replacing the previous upload.

    Args:
        stream: The archive, read from its start.
        session: Name of the browser session, safe as a folder name.
        settings: Upload folder and size limits.
        progress: Called with files unpacked and files in all, both 0 while the archive is being
            copied; an exception that it raises ends the work.

    Returns:
        Folder of the content; the same archive always gives the same folder.

    Raises:
        ArchiveError: The archive is unsafe, too large or holds no DICOM.
        StorageError: The disk is full or the folder cannot be written.
    """
    own = _own_folder(session, settings)
    _check_room(own, [stream], settings)
    try:
        _make_private(own)
        spooled, digest = _spool(stream, own, progress)
    except OSError as error:
        raise StorageError(
            f"The upload cannot be stored ({error.strerror}); free some space and try again."
        ) from error
    target = own / digest
    # Including the same archive: it may have been unpacked only in part.
    _remove_others(own, keep={spooled})
    try:
        limit = UNPACKED_TO_ZIPPED * (settings.max_upload_mib << 20)
        return extract_dicom_archive(spooled, target, max_bytes=limit, progress=progress)
    except CSpineError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        spooled.unlink(missing_ok=True)


def store_files(
    streams: Sequence[BinaryIO],
    *,
    session: str,
    settings: Settings,
    progress: Progress | None = None,
) -> Path:
    """Store an uploaded folder below `var/uploads/<session>/`, replacing the previous upload.

    The files are numbered, as their own names may contain the name of a patient.

    Args:
        streams: One stream per file, read from its start.
        session: As for `unpack_upload`.
        settings: As for `unpack_upload`; the limit holds for all files together.
        progress: As for `unpack_upload`.

    Returns:
        Folder of the files.

    Raises:
        ArchiveError: There is no file, or they are too large together.
        StorageError: The disk is full or the folder cannot be written.
    """
    if not streams:
        raise ArchiveError("The folder holds no files; choose the one with the DICOM files.")
    own = _own_folder(session, settings)
    _check_room(own, streams, settings)
    target = own / f"files-{time.time_ns()}"
    left = settings.max_upload_mib << 20
    try:
        _make_private(own)
        target.mkdir()
        _remove_others(own, keep={target})
        for number, stream in enumerate(streams):
            if progress is not None:
                progress(number, len(streams))
            stream.seek(0)
            with (target / f"{number:05}.dcm").open("wb") as file:
                while piece := stream.read(_CHUNK):
                    left -= file.write(piece)
                    if left < 0:
                        raise ArchiveError(
                            f"The folder is larger than {settings.max_upload_mib} MiB; upload one "
                            "series at a time."
                        )
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise StorageError(
            f"The upload cannot be stored ({error.strerror}); free some space and try again."
        ) from error
    except CSpineError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return target


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


def _check_room(own: Path, streams: Sequence[BinaryIO], settings: Settings) -> None:
    """Check that an upload fits on the disk and in the quota.

    Raises:
        StorageError: It does not fit.
    """
    needed = sum(stream.seek(0, os.SEEK_END) for stream in streams)
    check_space(own, needed, settings.keep_free_bytes)
    # This upload replaces the previous one of the session.
    check_quota(own.parent, max(needed - tree_bytes(own), 0), settings.upload_quota_gib)


def _spool(stream: BinaryIO, folder: Path, progress: Progress | None) -> tuple[Path, str]:
    """Write the stream to disk piece by piece; return the file and 16 digits of its digest."""
    digest = hashlib.sha256()
    path = folder / "upload.zip"
    stream.seek(0)
    with path.open("wb") as spooled:
        while piece := stream.read(_CHUNK):
            if progress is not None:
                progress(0, 0)
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


class HeldUploads:
    """Lock on the uploads of one session, which are removed when the session ends."""

    def __init__(self, session: str, settings: Settings) -> None:
        self._folder = settings.cspine_var / "uploads" / session
        self._lock = _lock_of(self._folder)
        # If the folder cannot be written, storing the upload reports it.
        # A starting server may hold the lock for a moment.
        with contextlib.suppress(Timeout, OSError):
            self._lock.acquire(timeout=1)

    def remove(self) -> None:
        """Remove the session's folder with all derived data."""
        shutil.rmtree(self._folder, ignore_errors=True)
        _release(self._lock)


def hold_uploads(session: str) -> None:
    """Keep a session's uploads until the session ends; called from that session."""
    _held(session)


def remove_abandoned(settings: Settings, *, older_than_s: float | None = None) -> int:
    """Remove the uploads of sessions that no running server holds; return their number.

    Args:
        settings: Upload folder.
        older_than_s: Minimum time since the last change, in seconds; None removes all. Time alone
            ends no session: the clock may jump, and a tab may stay open for days.
    """
    removed = 0
    latest = None if older_than_s is None else time.time() - older_than_s
    uploads = settings.cspine_var / "uploads"
    if not uploads.is_dir():
        return 0
    for folder in sorted(uploads.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        lock = _lock_of(folder)
        try:
            if latest is not None and folder.stat().st_mtime > latest:
                continue
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        removed += 1
        _release(lock)
    return removed


@st.cache_resource(scope="session", show_spinner=False, on_release=HeldUploads.remove)
def _held(session: str) -> HeldUploads:
    return HeldUploads(session, settings())


def _make_private(own: Path) -> None:
    """Make a session's folder, into which only the server's user may look."""
    own.parent.mkdir(parents=True, exist_ok=True)
    own.mkdir(mode=0o700, exist_ok=True)
    own.chmod(0o700)


def _release(lock: FileLock) -> None:
    """Release a lock after removing its file, which might belong to another session later."""
    file = Path(lock.lock_file)
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
    lock.release()
    if os.name == "nt":  # Windows cannot remove an open file.
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def _lock_of(folder: Path) -> FileLock:
    locks = folder.parent / _LOCKS
    with contextlib.suppress(OSError):
        locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / folder.name, thread_local=False)
