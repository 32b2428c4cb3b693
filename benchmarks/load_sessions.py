"""Sessions of the load test: what each does, measures and must not be able to read."""

from __future__ import annotations

import gzip
import io
import random
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.page_client import PageClient, PageError
from tests.core.dicom.dicom_factory import write_ct_series

PAGES = ("diagnosis", "preprocessing", "dataset")


@dataclass(slots=True)
class Finding:
    """Findings of one round of sessions.

    Attributes:
        seconds: Times of all interactions, by page.
        errors: Error messages.
        foreign: Reads of another session's data that were answered.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: {page: [] for page in PAGES})
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @property
    def interactions(self) -> int:
        """Number of interactions over all pages."""
        return sum(map(len, self.seconds.values()))

    @property
    def median(self) -> float:
        """Median time of all interactions, in seconds."""
        return float(np.median([one for times in self.seconds.values() for one in times]))

    def join(self, other: Finding) -> None:
        """Add another round's findings."""
        for page, seconds in other.seconds.items():
            self.seconds[page] += seconds
        self.errors += other.errors
        self.foreign += other.foreign


def mark_of(session: int) -> int:
    """HU of the marker in a session's own series; no two have the same."""
    return 300 + 37 * session


def own_series(session: int) -> bytes:
    """A zip of 8 slices with the session's marker in their middle."""
    hu = np.full((8, 48, 48), -1000, np.int16)
    hu[:, 8:40, 8:40] = 40
    hu[:, 20:28, 20:28] = mark_of(session)
    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(stream, "w") as archive:
        written = write_ct_series(
            Path(folder), hu, study_uid=f"1.2.826.0.2.{session + 1}", intercept=-1024.0
        )
        for path in written:
            archive.write(path, path.name)
    return stream.getvalue()


def bring_own(client: PageClient, session: int) -> dict[str, Any]:
    """Upload a session's series and wait until it is shown; return the viewer's data.

    Raises:
        PageError: It is refused or never shown.
    """
    client.open("diagnosis")
    client.set(client.find("button_group", "source").id, string_array_value=["Upload"])
    client.upload("upload", "own.zip", own_series(session))
    deadline = time.monotonic() + 120
    while not client.has("bidi_component", "viewer"):
        if time.monotonic() > deadline:
            raise PageError(f"The upload was never shown: {client.page.errors()}")
        time.sleep(0.3)
        client.run()
    return client.component_data("viewer")


def shows_own(client: PageClient, viewer: Mapping[str, Any], session: int) -> bool:
    """Whether the viewer's pixels are those of the session's own series."""
    answer = client.http.get(
        f"{viewer['path']}/{viewer['source']}/slice/3",
        headers={"x-viewer-session": viewer["proof"]},
    )
    if answer.status_code != 200:
        return False
    hu = np.frombuffer(_unpacked(answer.content), "<i2").reshape(48, 48)
    return int(hu[24, 24]) == mark_of(session)


class Visitor:
    """One session: what it does and what it finds.

    Args:
        url: Address of the server.
        number: Number of the session; seeds its series and its choices.
        interactions: Interactions after its upload.
        shared: Pixel names by session, to try the neighbours' with.
    """

    def __init__(self, url: str, number: int, interactions: int, shared: dict[int, str]) -> None:
        self.finding = Finding()
        self._url, self._number, self._left, self._shared = url, number, interactions, shared
        self._dice = random.Random(number)
        self._viewer: dict[str, Any] = {}

    def run(self) -> None:
        """Visit the pages; record every failure."""
        try:
            with PageClient(self._url) as client:
                self._viewer = bring_own(client, self._number)
                self._shared[self._number] = self._viewer["source"]
                self._check_own(client)
                while self._left > 0:
                    self._visit(client, PAGES[self._left % len(PAGES)])
                self._look_next_door(client)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs in the report
            kind = type(error).__name__
            self.finding.errors.append(f"session {self._number}: {kind}: {error}")

    def _check_own(self, client: PageClient) -> None:
        if not shows_own(client, self._viewer, self._number):
            self.finding.foreign.append(f"session {self._number} was shown other pixels")

    def _look_next_door(self, client: PageClient) -> None:
        viewer = self._viewer
        for other, name in list(self._shared.items()):
            if other == self._number:
                continue
            answer = client.http.get(
                f"{viewer['path']}/{name}/slice/3", headers={"x-viewer-session": viewer["proof"]}
            )
            if answer.status_code != 404:
                self.finding.foreign.append(f"session {self._number} read session {other}'s pixels")

    def _visit(self, client: PageClient, page: str) -> None:
        self._timed(page, lambda: client.open(page), client)
        if page == "diagnosis":
            self._check_own(client)
        for _ in range(self._dice.randint(2, 5)):
            if self._left > 0:
                self._timed(page, lambda: self._change(client, page), client)

    def _change(self, client: PageClient, page: str) -> None:
        """Move one of the page's sliders, or choose in one of its lists."""
        sliders = [one for one in client.page.of_kind("slider") if not one.disabled]
        lists = [one for one in client.page.of_kind("selectbox") if len(one.options) > 1]
        if page == "dataset" or not (sliders or lists):
            client.run()
        elif sliders and (not lists or self._dice.random() < 0.6):
            one = self._dice.choice(sliders)
            steps = max(round((one.max - one.min) / (one.step or 1)), 1)
            value = one.min + self._dice.randint(0, steps) * (one.step or 1)
            client.set(one.id, double_array_value=[min(value, one.max)])
        else:
            one = self._dice.choice(lists)
            client.set(one.id, string_value=self._dice.choice(list(one.options)))

    def _timed(self, page: str, action: Callable[[], object], client: PageClient) -> None:
        self._left -= 1
        start = time.perf_counter()
        action()
        self.finding.seconds[page].append(time.perf_counter() - start)
        self.finding.errors += [
            f"session {self._number} on {page}: {text}" for text in client.page.errors()
        ]


def _unpacked(content: bytes) -> bytes:
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def load(url: str, *, sessions: int, interactions: int) -> Finding:
    """Have sessions visit at the same time."""
    shared: dict[int, str] = {}
    visitors = [Visitor(url, number, interactions, shared) for number in range(sessions)]
    threads = [threading.Thread(target=visitor.run) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Finding()
    for visitor in visitors:
        whole.join(visitor.finding)
    return whole
