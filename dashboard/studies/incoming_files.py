"""Files that browsers send: written to disk as they arrive, counted per session and in all."""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any, Final

from core.config import Settings
from core.errors import CSpineError, StorageError
from core.system.disk_space import check_space, tree_bytes
from dashboard.background.budget import FILES_PER_SESSION
from dashboard.session.session_end import at_session_end
from dashboard.session.settings import settings
from dashboard.studies.held_uploads import INCOMING_PREFIX, HeldUploads
from dashboard.studies.uploads import Arrived

_GIB: Final = 1 << 30
_MIB: Final = 1 << 20
_MEASURE_SECONDS: Final = 2.0
REPLACED: Final = 2
"""A session may hold this many times the largest upload: the next one arrives before the last
one is taken away."""


class TransferRefusedError(CSpineError):
    """A file is not accepted.

    Args:
        status: HTTP status.
        sentence: Reason and remedy.
    """

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        super().__init__(sentence)


@dataclass(slots=True)
class _Files:
    """Files of one session: bytes by id; None for an id that was issued and not used yet."""

    bytes_by_id: dict[str, int | None] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(size or 0 for size in self.bytes_by_id.values())


class IncomingFiles:
    """Files of all sessions of this server, below one folder of `var/uploads`.

    Args:
        limits: Returns the settings: upload folder, largest upload, quota and space to keep free.
    """

    def __init__(self, limits: Callable[[], Settings] = settings) -> None:
        self._limits = limits
        self._name = f"{INCOMING_PREFIX}{uuid.uuid4().hex}"
        self._sessions: dict[str, _Files] = {}
        self._held: HeldUploads | None = None
        self._others, self._measured = 0, float("-inf")
        self._lock = RLock()

    @property
    def folder(self) -> Path:
        """Folder of the files that are arriving or wait to be read."""
        return self._limits().cspine_var.absolute() / "uploads" / self._name

    def issue(self, session: str, count: int) -> list[str]:
        """New ids for files that a session announces; only these are accepted.

        Args:
            session: Streamlit's id of the session.
            count: Number of files; ids beyond what a session may hold are accepted by nobody.
        """
        ids = [str(uuid.uuid4()) for _ in range(count)]
        with self._lock:
            known = self._sessions.setdefault(session, _Files()).bytes_by_id
            unused = [one for one, size in known.items() if size is None]
            # The oldest unused ones go: the browser has given those files up.
            for one in unused[: max(len(known) + count - FILES_PER_SESSION, 0)]:
                del known[one]
            for one in ids[: max(FILES_PER_SESSION - len(known), 0)]:
                known[one] = None
        return ids

    def begin(self, session: str, file_id: str, declared: int) -> Transfer:
        """Accept a file and reserve the bytes that it announces.

        Args:
            session: Streamlit's id of the session.
            file_id: Id from `issue`.
            declared: Size in bytes from the request; 0 if it names none.

        Raises:
            TransferRefusedError: The id was not issued to this session or is taken, or there is
                no room.
        """
        self._measure()
        with self._lock:
            known = self._sessions.get(session, _Files()).bytes_by_id
            if known.get(file_id, 0) is not None:
                raise TransferRefusedError(404, "This file was not announced; choose it again.")
            self.reserve(session, file_id, declared)
        try:
            if self._held is None:
                self._held = HeldUploads(self._name, self._limits())
            place = self.folder / session / file_id
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Transfer(self, session, place, declared)
        except OSError as error:
            self.remove(session, file_id)
            raise TransferRefusedError(
                503, f"The file cannot be stored ({error.strerror}); try again later."
            ) from error

    def reserve(self, session: str, file_id: str, more: int) -> None:
        """Count further bytes of a file.

        Raises:
            TransferRefusedError: The session (413) or all together (503) would have too much.
        """
        limits = self._limits()
        with self._lock:
            files = self._sessions.get(session)
            if files is None or file_id not in files.bytes_by_id:
                raise _ended()
            if files.total + more > REPLACED * limits.max_upload_mib * _MIB:
                raise TransferRefusedError(
                    413,
                    f"This session has sent {files.total / _MIB:.0f} MiB already; remove a file, "
                    "or upload one series at a time.",
                )
            self._check_all(more, limits)
            files.bytes_by_id[file_id] = (files.bytes_by_id[file_id] or 0) + more

    def _measure(self) -> None:
        """Measure what is on disk of the uploads, without the files counted here."""
        if time.monotonic() - self._measured > _MEASURE_SECONDS:
            self._measured = time.monotonic()
            self._others = max(tree_bytes(self.folder.parent) - tree_bytes(self.folder), 0)

    def _check_all(self, more: int, limits: Settings) -> None:
        own = sum(files.total for files in self._sessions.values())
        if self._others + own + more > limits.upload_quota_gib * _GIB:
            raise TransferRefusedError(
                503,
                "The uploads of all sessions take all the room that they may (UPLOAD_QUOTA_GIB); "
                "try again when others have closed theirs.",
            )
        try:
            check_space(self.folder.parent, more, limits.keep_free_bytes)
        except StorageError as error:
            raise TransferRefusedError(503, str(error)) from error

    def path_of(self, file_id: str) -> Path | None:
        """A file that has arrived as a whole; None for an unknown id."""
        with self._lock:
            for session, files in self._sessions.items():
                if file_id in files.bytes_by_id:
                    path = self.folder / session / file_id
                    return path if path.is_file() else None
        return None

    def remove(self, session: str, file_id: str) -> None:
        """Forget a file and its id, and delete it."""
        with self._lock:
            files = self._sessions.get(session)
            if files is None or file_id not in files.bytes_by_id:
                return
            del files.bytes_by_id[file_id]
        place = self.folder / session / file_id
        for path in (place, _part_of(place)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def end_session(self, session: str) -> None:
        """Forget and delete all files of a session."""
        with self._lock:
            self._sessions.pop(session, None)
        shutil.rmtree(self.folder / session, ignore_errors=True)

    def settle(self, session: str, file_id: str, surplus: int) -> None:
        """Give back bytes that were reserved and did not come."""
        with self._lock:
            files = self._sessions.get(session)
            if files is not None and file_id in files.bytes_by_id:
                files.bytes_by_id[file_id] = (files.bytes_by_id[file_id] or 0) - surplus

    def close(self) -> None:
        """Delete everything; the server stops."""
        with self._lock:
            self._sessions.clear()
            held, self._held = self._held, None
        if held is not None:
            held.remove()


class Transfer:
    """One file while it arrives; from `IncomingFiles.begin`."""

    def __init__(self, files: IncomingFiles, session: str, place: Path, reserved: int) -> None:
        self.size = 0
        self._files, self._session, self._place = files, session, place
        self._reserved = reserved
        self._part = _part_of(place)
        self._file = self._part.open("wb")

    def write(self, content: bytes) -> None:
        """Append bytes.

        Raises:
            TransferRefusedError: There is no room.
        """
        missing = self.size + len(content) - self._reserved
        if missing > 0:
            self._files.reserve(self._session, self._place.name, missing)
            self._reserved += missing
        try:
            self._file.write(content)
        except OSError as error:
            raise TransferRefusedError(
                503, f"The file cannot be stored ({error.strerror}); try again later."
            ) from error
        self.size += len(content)

    def finish(self) -> None:
        """Make the file visible.

        Raises:
            TransferRefusedError: Its session has ended meanwhile.
        """
        self._file.close()
        self._files.settle(self._session, self._place.name, self._reserved - self.size)
        try:
            self._part.replace(self._place)
        except OSError as error:
            raise _ended() from error

    def abort(self) -> None:
        """Drop the file."""
        self._file.close()
        self._files.remove(self._session, self._place.name)


def _part_of(place: Path) -> Path:
    """Name of a file while it arrives."""
    return place.with_name(f"{place.name}.part")


def _ended() -> TransferRefusedError:
    return TransferRefusedError(404, "The session has ended; open the page again.")


INCOMING: Final = IncomingFiles()
at_session_end(INCOMING.end_session)


def arrived(file: Any) -> Arrived:  # noqa: ANN401 - Streamlit's UploadedFile or its equivalent
    """Content of a file from `st.file_uploader`: a path, or the file itself if it is in memory."""
    return INCOMING.path_of(file.file_id) or file


def content_of(file: Arrived, limit_mib: int) -> bytes:
    """Content of a small file; one byte more than the limit if it is larger."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return stream.read((limit_mib << 20) + 1)
    file.seek(0)
    return file.read((limit_mib << 20) + 1)
