"""Uploaded zip archives: unpacked without trusting a word of what they say about themselves."""

from __future__ import annotations

import contextlib
import errno
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from core.errors import ArchiveError, StorageError
from core.system.atomic_files import move_into_place, temporary_folder

MAX_ENTRIES: Final = 20_000
MAX_DEPTH: Final = 24
"""Folders within each other; a tree hundreds deep is more than Python can make or remove again."""
_CHUNK: Final = 1 << 20
_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""An LZMA entry names the size of its dictionary, up to 4 GiB, and a bzip2 block swells more."""
_JUNK_FOLDER: Final = "__MACOSX"
_JUNK_NAMES: Final = (".DS_Store", "Thumbs.db", "desktop.ini")


def extract_dicom_archive(
    archive: Path | BinaryIO,
    target: Path,
    *,
    max_bytes: int,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Unpack a zip archive and return the folder of its content.

    Which of the files are one series is for `read_series` to say, whatever their folders.

    Entries are never named in errors, as their names may hold a patient's.

    Args:
        archive: A zip file or an open binary stream of one.
        target: Absent or empty; holds the content afterwards, or is as before on any error.
        max_bytes: Limit for the unpacked size, counted while unpacking.
        progress: Called with entries unpacked and entries in all; what it raises ends the work.

    Raises:
        ArchiveError: Not a zip, damaged, encrypted, empty, too large, or with an entry that would
            land outside `target` or is no plain file.
        StorageError: The content cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = temporary_folder(target.parent, ".unpack-")
    except OSError as error:
        raise _storage_error(target, error) from error
    try:
        with _opened(archive) as source:
            _extract(source, staging, max_bytes, progress)
        try:
            move_into_place(staging, target)
        except OSError as error:
            raise _storage_error(target, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


@contextlib.contextmanager
def _opened(archive: Path | BinaryIO):  # noqa: ANN202 - a context manager of ZipFile
    try:
        with zipfile.ZipFile(archive) as source:
            yield source
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise ArchiveError(
            "The archive is damaged or not a zip file; make it again as a .zip and retry."
        ) from error
    except NotImplementedError as error:
        raise _unread_compression() from error


def _extract(
    source: zipfile.ZipFile,
    staging: Path,
    max_bytes: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    entries = source.infolist()
    if len(entries) > MAX_ENTRIES:
        raise ArchiveError(
            f"The archive holds {len(entries):,} entries, more than {MAX_ENTRIES:,}; "
            "pack one series at a time."
        )
    paths = [_safe_path(entry, number) for number, entry in enumerate(entries, start=1)]
    files, left = 0, max_bytes
    for number, (entry, path) in enumerate(zip(entries, paths, strict=True)):
        if progress is not None:
            progress(number, len(entries))
        if entry.is_dir() or path is None:
            continue
        left -= _write(source, entry, staging / path, left)
        if left < 0:
            raise ArchiveError(
                f"The archive unpacks to more than {max_bytes / 2**20:,.0f} MiB; "
                "pack one series at a time."
            )
        files += 1
    if not files:
        raise ArchiveError("The archive holds no files; pack the folder with the DICOM files.")


def _safe_path(entry: zipfile.ZipInfo, number: int) -> PurePosixPath | None:
    """Return where the entry goes, relative to the target; None for the clutter of desktops."""
    name = entry.filename.replace("\\", "/")
    path = PurePosixPath(name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0]:
        raise ArchiveError(
            f"Entry {number} of the archive points outside its folder; pack the series again."
        )
    if len(path.parts) > MAX_DEPTH:
        raise ArchiveError(
            f"Entry {number} of the archive lies more than {MAX_DEPTH} folders deep; pack the "
            "folder of one series."
        )
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(
            f"Entry {number} of the archive is a link or device, not a file; pack the files "
            "themselves."
        )
    if entry.flag_bits & _ENCRYPTED:
        raise ArchiveError("The archive is encrypted; pack it without a password.")
    if entry.compress_type not in _METHODS:
        raise _unread_compression()
    junk = path.name in _JUNK_NAMES or path.name.startswith("._") or _JUNK_FOLDER in path.parts
    return None if junk or not path.parts else path


def _write(source: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, limit: int) -> int:
    """Write one entry and return its size; stops one chunk after `limit` bytes."""
    size = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open(entry) as content, target.open("xb") as file:
            while size <= limit and (chunk := content.read(_CHUNK)):
                size += len(chunk)
                file.write(chunk)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
            raise _storage_error(target.parent, error) from error
        raise ArchiveError(
            "The archive has two entries of one name, or a name no file can have; pack it again."
        ) from error
    return size


def _unread_compression() -> ArchiveError:
    return ArchiveError(
        "The archive uses a compression that is not read here; make it again as a plain .zip."
    )


def _storage_error(target: Path, error: OSError) -> StorageError:
    return StorageError(
        f"Cannot unpack into {target}: {error.strerror}; free some space or choose another folder."
    )
