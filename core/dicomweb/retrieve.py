"""Fetch one series from a DICOMweb server into a folder (WADO-RS)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import requests

from core.dicomweb.connection import TIMEOUT_S, answers_of, checked_uid, open_session
from core.dicomweb.multipart import boundary_of, split_parts
from core.dicomweb.search import FoundSeries
from core.dicomweb.servers import DicomWebServer
from core.errors import DicomWebError, StorageError
from core.system.atomic_files import hidden_folder, move_into_place, remedy_for
from core.types import Progress

MOST_IMAGES: Final = 10_000
_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Files as they are stored: decoding them is the reader's work, with its limits."""
_CHUNK: Final = 1 << 16
_MAGIC: Final = b"DICM"
_MAGIC_AT: Final = 128


def fetch_series(
    server: DicomWebServer,
    series: FoundSeries,
    out: Path,
    *,
    max_mib: int,
    progress: Progress | None = None,
) -> int:
    """Fetch the files of a series; the folder is there as a whole or not at all.

    The files are numbered, and written byte by byte as the server sends them.

    Args:
        server: The server.
        series: The series.
        out: Folder for the files; new or empty.
        max_mib: Size of all files together, in MiB.
        progress: Called with images fetched and images in all (0 if that is not known) several
            times per image; what it raises ends the work.

    Returns:
        Number of files.

    Raises:
        DicomWebError: The server cannot be reached, refuses or answers wrongly, or the series is
            too large.
        StorageError: The folder is in use or cannot be written.
    """
    _check_free(out)
    url = (
        f"{server.url}/studies/{checked_uid(series.study_uid, 'study')}"
        f"/series/{checked_uid(series.uid, 'series')}"
    )
    with answers_of(server), open_session(server) as session:
        # Identity: a compressed answer of a few bytes could unpack to any size.
        headers = {"Accept": _ACCEPT, "Accept-Encoding": "identity"}
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            response.raise_for_status()
            boundary = boundary_of(response.headers.get("Content-Type", ""))
            chunks = response.iter_content(_CHUNK)
            try:
                with hidden_folder(out.absolute().parent, out.name) as hidden:
                    written = _Files(hidden, max_mib, series.images, progress)
                    written.take(split_parts(written.counted(chunks), boundary))
                    move_into_place(hidden, out.absolute())
            except requests.RequestException:
                raise  # An OSError too, but not one of the folder.
            except OSError as error:
                raise _not_written(out, error) from error
    return written.count


@dataclass(slots=True)
class _Files:
    """Files of a series while they arrive.

    Attributes:
        folder: Takes them.
        max_mib: Size of all together.
        expected: Number of images; 0 if it is not known.
        progress: As for `fetch_series`.
        count: Number of complete files.
    """

    folder: Path
    max_mib: int
    expected: int
    progress: Progress | None
    count: int = 0

    def counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the answer on within its limit of size, and report progress."""
        left = self.max_mib << 20
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                raise DicomWebError(
                    f"The series is larger than {self.max_mib} MiB (MAX_UPLOAD_MIB); choose "
                    "another series, or raise the limit."
                )
            if self.progress is not None:
                self.progress(self.count, self.expected)
            yield chunk

    def take(self, pieces: Iterator[tuple[int, bytes]]) -> None:
        """Write the parts of the answer, one file each."""
        file: BinaryIO | None = None
        last = -1
        try:
            for number, piece in pieces:
                if file is None or number != last:
                    self._end(file)
                    file, last = self._begin(number), number
                file.write(piece)
            self._end(file)
        finally:
            if file is not None:
                file.close()
        if not self.count:
            raise DicomWebError("The DICOM server sent no image of the series; choose another one.")
        if self.progress is not None:
            self.progress(self.count, max(self.expected, self.count))

    def _begin(self, number: int) -> BinaryIO:
        if number >= MOST_IMAGES:
            raise DicomWebError(
                f"The series has more than {MOST_IMAGES:,} images; choose another series."
            )
        return (self.folder / f"{number:05}.dcm").open("w+b")

    def _end(self, file: BinaryIO | None) -> None:
        """Check and close a file whose part has ended."""
        if file is None:
            return
        file.seek(_MAGIC_AT)
        if file.read(len(_MAGIC)) != _MAGIC:
            raise DicomWebError(
                "The DICOM server sent something that is no DICOM file; try again, or ask its "
                "administrator."
            )
        file.flush()
        os.fsync(file.fileno())
        file.close()
        self.count += 1


def _check_free(out: Path) -> None:
    try:
        taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise _not_written(out, error) from error
    if taken:
        raise StorageError(f"{out} exists and is not empty; name a new folder.")


def _not_written(out: Path, error: OSError) -> StorageError:
    reason = error.strerror or "the write failed"
    remedy = remedy_for(error, "free some space or choose a folder you can write to")
    return StorageError(f"Cannot write {out}: {reason}; {remedy}.")
