"""A class in one reader study at the same time: what each reader does, and what must not get lost.

Each reader joins by the code, opens every case with some of its slices, answers, and tries an
address with a token that is not known. Afterwards the files must hold exactly what was answered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.page_client import PageClient, PageError
from core.constants import VERTEBRAE
from core.dataset.rsna import read_studies
from core.reader_study.records import RATINGS, StudyCase, planned
from core.reader_study.store import FOLDER_NAME, ReaderStudyStore
from core.system import atomic_files
from tests.core.dicom.dicom_factory import write_ct_series
from tests.dashboard.workplace import made_neck

CASES: Final = 6
_SLICES: Final = (2, 4, 6, 8)
_DONE: Final = f"You have answered all {CASES} cases"


@dataclass(slots=True)
class ClassFinding:
    """Findings of a class.

    Attributes:
        seconds: Time of each step, by its name.
        errors: Error messages.
        lost: Answers that the files lack or hold otherwise, and answers that were read by others.
    """

    seconds: dict[str, list[float]] = field(
        default_factory=lambda: {"join": [], "choose": [], "answer": []}
    )
    errors: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def write_class(var: Path) -> str:
    """Write a cohort of six made studies and a reader study about them; return its code.

    Args:
        var: CSPINE_VAR of the server.
    """
    root = var / "demo"
    rows = ["StudyInstanceUID,patient_overall," + ",".join(VERTEBRAE)]
    for seed in range(CASES):
        uid = f"1.2.826.0.3.{seed + 1}"
        write_ct_series(
            root / "train_images" / uid, made_neck(seed), spacing_mm=(3.0, 0.8, 0.8),
            study_uid=uid, intercept=-1024.0,
        )  # fmt: skip
        rows.append(f"{uid},{seed % 2},0,{seed % 2},0,0,0,0,0")
    atomic_files.write_text(root / "train.csv", "\n".join(rows) + "\n")
    cases = tuple(
        StudyCase.model_validate({"study_id": one.study_id, "fractured": one.fractured})
        for one in read_studies(root)
    )
    plan = planned(title="Load", root=root, cases=cases, order="per reader", seed=1, limit_s=600)
    return ReaderStudyStore(var / FOLDER_NAME).make(plan).code


class Reader:
    """One reader.

    Args:
        url: Address of the server.
        code: Code of the study.
        number: Seeds the ratings.
        finding: Takes what the reader finds; shared.
    """

    def __init__(self, url: str, code: str, number: int, finding: ClassFinding) -> None:
        self._url, self._code, self._number, self._finding = url, code, number, finding
        self.token = ""
        self.ratings: list[int] = []

    def run(self) -> None:
        """Take part; record every failure."""
        try:
            with PageClient(self._url) as client:
                client.open("reader_study", f"code={self._code}")
                button = next(one for one in client.page.of_kind("button") if one.label == "Join")
                self._timed("join", lambda: client.set(button.id, trigger_value=True), client)
                self.token = client.query["reader"]
                for k in range(CASES):
                    self._read(client, 1 + (self._number + k) % len(RATINGS))
                if _DONE not in client.page.text():
                    raise PageError(f"The end was not reached: {client.page.text()[-300:]}")
            self._try_another()
        except Exception as error:  # noqa: BLE001 - whatever it is belongs in the report
            kind = type(error).__name__
            self._finding.errors.append(f"reader {self._number}: {kind}: {error}")

    def _read(self, client: PageClient, rating: int) -> None:
        viewer = client.component_data("reader_viewer")
        for index in _SLICES:
            answer = client.http.get(f"{viewer['path']}/{viewer['source']}/slice/{index}")
            answer.raise_for_status()
        radio, words = client.find("radio", "reader_rating"), RATINGS[rating - 1].capitalize()
        self._timed("choose", lambda: client.set(radio.id, string_value=words), client)
        button = client.find("button", "reader_answer")
        # The button is in a fragment, which asks for the whole page: the next case, or the end.
        self._timed("answer", lambda: client.set(button.id, trigger_value=True), client)
        self.ratings.append(rating)

    def _try_another(self) -> None:
        with PageClient(self._url) as stranger:
            stranger.open("reader_study", f"code={self._code}&reader={self.token[::-1]}")
            if "Case " in stranger.page.text() or _DONE in stranger.page.text():
                self._finding.lost.append(f"a stranger was let in as reader {self._number}")

    def _timed(self, step: str, action: Callable[[], object], client: PageClient) -> None:
        start = time.perf_counter()
        action()
        self._finding.seconds[step].append(time.perf_counter() - start)
        self._finding.errors += [
            f"reader {self._number}, {step}: {text}" for text in client.page.errors()
        ]


def hold_class(url: str, var: Path, code: str, readers: int) -> ClassFinding:
    """Have readers take part at the same time, and compare the files with what they answered.

    Args:
        url: Address of the server.
        var: Its CSPINE_VAR.
        code: Code of the study.
        readers: Number of readers.
    """
    finding = ClassFinding()
    class_ = [Reader(url, code, number, finding) for number in range(readers)]
    threads = [threading.Thread(target=reader.run) for reader in class_]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = ReaderStudyStore(var / FOLDER_NAME)
    numbers = sorted(log.number for log in store.readers(code))
    if numbers != list(range(1, readers + 1)):
        finding.lost.append(f"the numbers of the readers are {numbers}")
    for number, reader in enumerate(class_):
        log = store.reader(code, reader.token) if reader.token else None
        kept = [] if log is None else [log.answers[k].rating for k in log.order if k in log.answers]
        if kept != reader.ratings or len(kept) != CASES:
            finding.lost.append(f"reader {number} answered {reader.ratings}, kept are {kept}")
    return finding
