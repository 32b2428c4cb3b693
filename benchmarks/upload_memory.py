"""Memory of a server after hundreds of uploads: good, bad, cancelled and abandoned ones.

A quarter of the uploads are read, half are no archives or damaged ones, and the rest are left
while they arrive or are being read. Each comes from a session of its own, which then ends.

    .venv/bin/python -m benchmarks.upload_memory                    500 uploads of 20 MiB
    .venv/bin/python -m benchmarks.upload_memory --uploads 40 --mib 4
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import psutil

from benchmarks.load_test import server_at
from benchmarks.page_client import XSRF_COOKIE, PageClient, PageError
from tests.browser.server import serve
from tests.core.dicom.dicom_factory import write_ct_series
from tests.dashboard.workplace import Workplace, write_bundles, write_cohort

_MIB: Final = 1 << 20
LIMIT_MIB: Final = 100.0
_SETTLE_SECONDS: Final = 6.0


@dataclass(frozen=True, slots=True)
class UploadReport:
    """Memory of the server around the uploads.

    Attributes:
        before_mib: Resident memory after the warm-up, when its sessions had ended.
        after_mib: Resident memory at the end.
        most_mib: Largest resident memory seen between two uploads.
        unexpected: Uploads that ended otherwise than they should.
    """

    before_mib: float
    after_mib: float
    most_mib: float
    unexpected: list[str]

    @property
    def growth_mib(self) -> float:
        """MiB that the server has kept."""
        return self.after_mib - self.before_mib


def archive_of(mib: float) -> bytes:
    """A zip of about this size with a series of noise."""
    slices = max(round(mib * _MIB / (512 * 512 * 2)), 3)
    hu = np.random.default_rng(0).integers(-1000, 1000, (slices, 512, 512)).astype(np.int16)
    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(stream, "w") as archive:
        for path in write_ct_series(Path(folder), hu, intercept=-1024.0):
            archive.write(path, path.name)
    return stream.getvalue()


class UploadVisitor:
    """Sends one archive after the other, each in a session of its own and in another way.

    Args:
        url: Address of the server.
        mib: Size of an upload.
    """

    def __init__(self, url: str, mib: float) -> None:
        self._url = url
        self._good = archive_of(mib)
        cut = len(self._good) // 2
        self._damaged = self._good[:cut] + bytes(64) + self._good[cut + 64 :]
        self._no_archive = np.random.default_rng(1).bytes(len(self._good))
        self._ways: tuple[Callable[[PageClient], str | None], ...] = (
            self._read, self._fails_damaged, self._leaves_at_once, self._fails_no_archive,
            self._breaks_off, self._fails_no_archive, self._cancels, self._fails_damaged,
        )  # fmt: skip

    def visit(self, number: int) -> str | None:
        """One session; what went otherwise than it should, None if nothing did."""
        way = self._ways[number % len(self._ways)]
        try:
            with PageClient(self._url) as client:
                client.open("diagnosis")
                client.set(client.find("button_group", "source").id, string_array_value=["Upload"])
                wrong = way(client)
        except (PageError, httpx.HTTPError) as error:
            wrong = f"{type(error).__name__}: {error}"
        return None if wrong is None else f"upload {number} ({way.__name__}): {wrong}"

    def _read(self, client: PageClient) -> str | None:
        client.upload("upload", "series.zip", self._good)
        return None if _until(client, lambda: client.has("bidi_component", "viewer")) else "unread"

    def _fails_damaged(self, client: PageClient) -> str | None:
        return self._fails(client, self._damaged)

    def _fails_no_archive(self, client: PageClient) -> str | None:
        return self._fails(client, self._no_archive)

    def _fails(self, client: PageClient, content: bytes) -> str | None:
        client.upload("upload", "series.zip", content)
        return None if _until(client, lambda: bool(client.page.errors())) else "no error shown"

    def _leaves_at_once(self, client: PageClient) -> str | None:
        client.upload("upload", "series.zip", self._good)
        return None

    def _cancels(self, client: PageClient) -> str | None:
        client.upload("upload", "series.zip", self._good)
        if client.has("button", "upload_cancel"):
            client.set(client.find("button", "upload_cancel").id, trigger_value=True)
        return None

    def _breaks_off(self, client: PageClient) -> str | None:
        def pieces() -> Iterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
            yield self._good[: len(self._good) // 2]
            raise InterruptedError

        headers = {
            "X-Xsrftoken": client.http.cookies.get(XSRF_COOKIE) or "",
            "Content-Type": "multipart/form-data; boundary=b",
        }
        try:
            client.http.put(client.announce("a").upload_url, content=pieces(), headers=headers)
        except InterruptedError:
            return None
        return "not broken off"


def _until(client: PageClient, done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 120
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
        client.run()
    return True


def measure_uploads(url: str, *, uploads: int, mib: float, warm_up: int = 24) -> UploadReport:
    """Send uploads to a running server, a child of this process.

    Args:
        url: Address of the server.
        uploads: Number of uploads.
        mib: Size of each.
        warm_up: Uploads before the first measurement: imports and caches of the pages.
    """
    server, visitor = server_at(int(url.rsplit(":", 1)[1])), UploadVisitor(url, mib)
    unexpected = [wrong for n in range(warm_up) if (wrong := visitor.visit(n)) is not None]
    before, most = _settled(server), 0.0
    for number in range(uploads):
        if (wrong := visitor.visit(number)) is not None:
            unexpected.append(wrong)
        most = max(most, _resident(server))
    return UploadReport(before, _settled(server), most, unexpected)


def _settled(server: psutil.Process) -> float:
    time.sleep(_SETTLE_SECONDS)
    return _resident(server)


def _resident(server: psutil.Process) -> float:
    return server.memory_info().rss / _MIB


def main() -> int:
    """Measure and print; 1 where memory was kept or an upload ended in another way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--uploads", type=int, default=500)
    parser.add_argument("--mib", type=float, default=20.0)
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(Path(folder))
        write_cohort(place.var / "demo")
        write_bundles(place.checkpoints)
        with serve(root, dict(place.environment), Path(folder) / "log") as url:
            start = time.monotonic()
            report = measure_uploads(url, uploads=arguments.uploads, mib=arguments.mib)
            seconds = time.monotonic() - start
        left = [path for path in (place.var / "uploads").rglob("*") if path.is_file()]
    print(f"{arguments.uploads} uploads of {arguments.mib:g} MiB in {seconds / 60:.1f} minutes")
    print(f"server memory, MiB: before {report.before_mib:.0f}, largest {report.most_mib:.0f}, "
          f"after {report.after_mib:.0f} ({report.growth_mib:+.0f})")  # fmt: skip
    print(f"files left: {len(left)}")
    for text in report.unexpected[:20]:
        print("  " + text[:300])
    return 1 if report.unexpected or left or report.growth_mib > LIMIT_MIB else 0


if __name__ == "__main__":
    sys.exit(main())
