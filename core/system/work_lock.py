"""A lock on a piece of work, held over all of it, by one process on any of several machines.

The lock is a folder of numbered files; the highest number is the last holder's. Whoever takes the
lock creates the next number with `O_EXCL`, which only one process can do, on a shared disk too (NFS
since version 3). No kernel lock is used: whether `flock` reaches other machines depends on how each
of them has mounted the disk, and cannot be seen from here.

A file has two lines: the holder's process, and a count that a thread of the holder raises while it
lives, or "released". Holders of this machine are judged by their process. For the others, the lock
is free once the count has not moved for `LEASE_SECONDS` by the clock of whoever looks. A holder
that was frozen for so long finds the next number, and must end its work.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from core.errors import HeldError, StorageError
from core.system.movement import MOVEMENT
from core.system.process_identity import ProcessRecord

REFRESH_SECONDS: Final = 1.0
LEASE_SECONDS: Final = 90.0
"""Longer than the 60 seconds for which NFS may show another machine's old file attributes."""
POLL_SECONDS: Final = 0.1

_COUNT_WIDTH: Final = 20
_RELEASED: Final = b"released".ljust(_COUNT_WIDTH)
_KEPT: Final = 2
"""Numbers kept: with an old list of the folder, nobody can create one that was already used."""


class WorkLock:
    """The lock of one piece of work.

    Attributes:
        folder: Folder of the numbered files; made when the lock is first taken.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def was_used(self) -> bool:
        """Whether any process has ever held the lock."""
        return bool(self._numbers())

    def holder(self) -> ProcessRecord | None:
        """The process that holds the lock; None if it is free."""
        numbers = self._numbers()
        return self._holder_of(numbers[-1]) if numbers else None

    @contextmanager
    def held(
        self, *, wait_s: float = 0.0, judge: bool = False,
        on_refresh: Callable[[], None] | None = None,
    ) -> Iterator[Hold]:  # fmt: skip
        """Hold the lock for the length of the block.

        Args:
            wait_s: Longest time to wait for a living holder.
            judge: Whether to watch a holder on another machine for as long as its count stands
                still, and take the lock if it does so for `LEASE_SECONDS`.
            on_refresh: Called by a thread of the holder every `REFRESH_SECONDS`.

        Raises:
            HeldError: Another process holds the lock.
            StorageError: The lock's folder cannot be written.
        """
        try:
            hold = Hold(self.folder, self._take(wait_s, judge=judge), on_refresh)
        except OSError as error:
            raise StorageError(
                f"Cannot write {self.folder}: {error.strerror}; check its permissions and the disk."
            ) from error
        try:
            yield hold
        finally:
            hold.release()

    def _take(self, wait_s: float, *, judge: bool) -> int:
        """Create the next number as soon as the lock is free; return it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        began, seen = time.monotonic(), set[bytes]()
        while True:
            numbers = self._numbers()
            last = numbers[-1] if numbers else 0
            holder = self._holder_of(last) if numbers else None
            if holder is None:
                if self._create(last + 1):
                    return last + 1
                continue
            seen.add(_read(self._file(last)))
            is_judged = judge and not holder.is_here and len(seen) == 1
            if not is_judged and time.monotonic() - began >= wait_s:
                raise HeldError(self.folder, holder.pid, holder.host)
            time.sleep(POLL_SECONDS)

    def _create(self, number: int) -> bool:
        """Become the holder with this number; False if another process has it or a higher one."""
        path = self._file(number)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        record = json.dumps(asdict(ProcessRecord.of(os.getpid()))).encode()
        try:
            os.write(handle, record + b"\n" + _count(0))
            os.fsync(handle)
        finally:
            os.close(handle)
        numbers = self._numbers()
        if numbers[-1:] != [number]:  # The list was old.
            path.unlink(missing_ok=True)
            return False
        for old in numbers[:-_KEPT]:
            self._file(old).unlink(missing_ok=True)
        return True

    def _holder_of(self, number: int) -> ProcessRecord | None:
        path = self._file(number)
        content = _read(path)
        first, _, count = content.partition(b"\n")
        if count == _RELEASED:
            return None
        record = _parsed(first)
        if record.is_here:
            return record if record.is_alive else None
        still = MOVEMENT.seconds_still(str(path.absolute()), content)
        return record if still < LEASE_SECONDS else None

    def _numbers(self) -> list[int]:
        try:
            names = [path.name for path in self.folder.iterdir()]
            return sorted(int(name) for name in names if name.isdecimal())
        except OSError:
            return []

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}"


class Hold:
    """A lock while it is held; a thread shows that its holder lives.

    Attributes:
        number: Number of the holder, from 1.
        is_lost: Whether another process has taken the lock, as this one was frozen for too long.
    """

    def __init__(
        self, folder: Path, number: int, on_refresh: Callable[[], None] | None = None
    ) -> None:
        self.is_lost = False
        self.number = number
        self._folder, self._on_refresh = folder, on_refresh
        self._pid, self._count = os.getpid(), 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="work-lock", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Check that the lock is still this process's.

        Raises:
            HeldError: Another process has taken it.
        """
        # Looked up each time: a frozen process may write before its thread has looked again.
        later, own = (self._folder / f"{self.number + more:06d}" for more in (1, 0))
        self.is_lost = self.is_lost or later.exists() or not own.exists()
        if self.is_lost:
            record = _parsed(_read(later).partition(b"\n")[0])
            raise HeldError(self._folder, record.pid, record.host)

    def release(self) -> None:
        """Release the lock; a process forked from the holder has nothing to release."""
        if os.getpid() != self._pid:
            return
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        if not self.is_lost:
            self._write(_RELEASED)

    def _refresh(self) -> None:
        while not self._ended.wait(REFRESH_SECONDS):
            with contextlib.suppress(HeldError):
                self.check()
            if not self.is_lost:
                self._count += 1
                self._write(_count(self._count))
            if self._on_refresh is not None:
                self._on_refresh()

    def _write(self, count: bytes) -> None:
        # In place: on NFS a file of the same identity is read afresh when it is opened, while a
        # name that points to a new file may be remembered. The disk may be away for a moment.
        path = self._folder / f"{self.number:06d}"
        with contextlib.suppress(OSError), path.open("r+b") as stream:
            stream.seek(-_COUNT_WIDTH, os.SEEK_END)
            stream.write(count)


def _count(value: int) -> bytes:
    return b"%0*d" % (_COUNT_WIDTH, value)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _parsed(line: bytes) -> ProcessRecord:
    """The process in a file's first line; an unknown one if the file is just being written."""
    try:
        return ProcessRecord(**json.loads(line))
    except (ValueError, TypeError):
        return ProcessRecord("", 0, None)
