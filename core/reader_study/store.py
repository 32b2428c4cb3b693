"""The files of reader studies: a folder per study, in it one file of JSON lines per reader.

`<folder>/<code>/study.json` holds the plan, `<folder>/<code>/readers/<id>.jsonl` what a reader did.
A reader is known by a token that only the reader's browser has; the id is made from it with the
study's secret, so that neither the files nor an export give access to anything.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from core.errors import ReaderStudyError
from core.reader_study.design import case_order, is_helped
from core.reader_study.records import (
    EVENTS,
    AnswerDraft,
    Answered,
    Joined,
    ModelScores,
    ReaderStudy,
    ReaderStudyPlan,
    Shown,
)
from core.system.atomic_files import write_bytes
from core.system.work_lock import WorkLock

FOLDER_NAME: Final = "reader_studies"
"""Folder below `CSPINE_VAR`."""
MAX_STUDIES: Final = 100
MAX_READERS: Final = 200
CODE_LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without those that are mistaken for each other when read aloud or from a board."""
_CODE: Final = re.compile(f"[{CODE_LETTERS}]{{6}}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_STUDY, _READERS, _SUFFIX, _LOCKS = "study.json", "readers", ".jsonl", ".locks"
_WAIT_SECONDS: Final = 30.0
_DELETED: Final = ".deleted-"


@dataclass(frozen=True, slots=True)
class ReaderLog:
    """What one reader did.

    Attributes:
        number: Number of the reader, from 1.
        order: Indices of the cases in the order of this reader.
        shown: When each case was first shown, by its index.
        answers: Answers by the index of the case.
        problems: Number of lines that cannot be read; they are left out.
    """

    number: int
    order: tuple[int, ...]
    shown: dict[int, datetime]
    answers: dict[int, Answered]
    problems: int = 0

    @property
    def next_case(self) -> int | None:
        """Index of the first case without an answer; None if there is none."""
        return next((case for case in self.order if case not in self.answers), None)


class ReaderStudyStore:
    """Reader studies below one folder.

    Args:
        folder: Made with the first study.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def codes(self) -> tuple[str, ...]:
        """Codes of the studies, sorted."""
        found = (path.parent.name for path in self.folder.glob(f"*/{_STUDY}"))
        return tuple(sorted(name for name in found if _CODE.fullmatch(name)))

    def studies(self) -> tuple[ReaderStudy, ...]:
        """The studies, the latest first; those whose file cannot be read are left out."""
        found: list[ReaderStudy] = []
        for code in self.codes():
            try:
                found.append(self.read(code))
            except ReaderStudyError:
                continue
        return tuple(sorted(found, key=lambda study: study.made, reverse=True))

    def read(self, code: str) -> ReaderStudy:
        """Read a study.

        Raises:
            ReaderStudyError: There is none of this code, or its file cannot be read.
        """
        if not _CODE.fullmatch(code):
            raise ReaderStudyError(
                "A code has six letters and digits; check it with your lecturer."
            )
        path = self.folder / code / _STUDY
        try:
            return ReaderStudy.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise ReaderStudyError(
                f"There is no reader study with the code {code}; check it with your lecturer."
            ) from error
        except (OSError, ValidationError) as error:
            raise ReaderStudyError(
                f"{path} cannot be read as a reader study; restore or delete its folder."
            ) from error

    def make(self, plan: ReaderStudyPlan, model: ModelScores | None = None) -> ReaderStudy:
        """Keep a new study under a code of its own.

        Raises:
            ReaderStudyError: There are as many studies as allowed.
            HeldError, StorageError: As for `WorkLock.held` and `write_bytes`.
        """
        with WorkLock(self.folder / _LOCKS / "all").held(wait_s=_WAIT_SECONDS):
            known = self.codes()
            if len(known) >= MAX_STUDIES:
                raise ReaderStudyError(
                    f"{MAX_STUDIES} reader studies are kept here already; delete one first."
                )
            code = _new_code()
            while (self.folder / code).exists():
                code = _new_code()
            study = ReaderStudy(
                **dict(plan), code=code, secret=secrets.token_hex(32), made=_now(), model=model
            )
            self._write(study)
        return study

    def keep_model(self, code: str, model: ModelScores) -> None:
        """Keep the model's scores, once they are known.

        Raises:
            ReaderStudyError: There is no such study, or the scores are not of its cases.
            HeldError, StorageError: As for `make`.
        """
        with self._held(code) as study:
            if len(model.cases) != len(study.cases):
                raise ReaderStudyError(
                    f"The model has {len(model.cases)} scores for {len(study.cases)} cases; score "
                    "them again."
                )
            self._write(study.model_copy(update={"model": model}))

    def end(self, code: str) -> None:
        """Take no more answers; from now on the results can be seen.

        Raises:
            ReaderStudyError, HeldError, StorageError: As for `keep_model`.
        """
        with self._held(code) as study:
            if study.ended is None:
                self._write(study.model_copy(update={"ended": _now()}))

    def delete(self, code: str) -> None:
        """Delete a study with all answers.

        Raises:
            ReaderStudyError: There is no such study, or its files cannot be removed.
            HeldError: Another process works on it and does not end.
        """
        with self._held(code):
            gone = self.folder / f"{_DELETED}{code}-{secrets.token_hex(4)}"
            try:
                (self.folder / code).rename(gone)
                shutil.rmtree(gone)
            except OSError as error:
                raise ReaderStudyError(
                    f"{gone} cannot be removed ({error.strerror}); check its permissions and "
                    "remove it by hand."
                ) from error

    def join(self, code: str) -> str:
        """Add a reader; return the reader's token, which is kept nowhere.

        Raises:
            ReaderStudyError: There is no such study, it takes no answers (any more), or it has as
                many readers as allowed.
            HeldError, StorageError: As for `make`.
        """
        with self._held(code) as study:
            _check_open(study)
            number = len(self._files(code)) + 1
            if number > MAX_READERS:
                raise ReaderStudyError(
                    f"This reader study has {MAX_READERS} readers already, which is the limit; ask "
                    "your lecturer for another one."
                )
            token = secrets.token_urlsafe(16)
            line = Joined(number=number, at=_now())
            write_bytes(self._reader_file(study, token), _line(line))
        return token

    def knows(self, code: str, token: str) -> bool:
        """Whether a token is that of a reader of a study."""
        try:
            study = self.read(code)
            return bool(_TOKEN.fullmatch(token)) and self._reader_file(study, token).is_file()
        except ReaderStudyError:
            return False

    def reader(self, code: str, token: str) -> ReaderLog:
        """What the reader with a token did.

        Raises:
            ReaderStudyError: There is no such study or reader, or the file cannot be read.
        """
        study = self.read(code)
        return _parsed(self._existing(study, token), study)

    def readers(self, code: str) -> tuple[ReaderLog, ...]:
        """What all readers did, by number.

        Raises:
            ReaderStudyError: There is no such study, or a file cannot be read.
        """
        study = self.read(code)
        logs = (_parsed(path, study) for path in self._files(code))
        return tuple(sorted(logs, key=lambda log: log.number))

    def show(self, code: str, token: str, case: int) -> datetime:
        """Note that a reader sees a case; return when it was shown first.

        Raises:
            ReaderStudyError: There is no such study or reader, the study takes no answers, or it is
                another case's turn.
            HeldError, StorageError: As for `make`.
        """
        log = self.reader(code, token)
        if case in log.shown:
            return log.shown[case]
        with self._held(code) as study:
            _check_open(study)
            path = self._existing(study, token)
            log = _parsed(path, study)
            if case in log.shown:
                return log.shown[case]
            _check_turn(log, case)
            event = Shown(case=case, at=_now())
            _append(path, event)
        return event.at

    def answer(self, code: str, token: str, case: int, draft: AnswerDraft) -> Answered:
        """Keep a reader's answer to the case whose turn it is; it cannot be changed afterwards.

        Raises:
            ReaderStudyError: As for `show`, or the case was never shown.
            HeldError, StorageError: As for `make`.
        """
        arrived = _now()
        with self._held(code) as study:
            _check_open(study)
            path = self._existing(study, token)
            log = _parsed(path, study)
            _check_turn(log, case)
            if case not in log.shown:
                raise ReaderStudyError("This case was never opened; open it and answer again.")
            event = Answered(
                **dict(draft),
                case=case,
                helped=is_helped(study, log.number, case),
                seconds=max(round((arrived - log.shown[case]).total_seconds(), 2), 0.0),
                at=arrived,
            )
            _append(path, event)
        return event

    @contextmanager
    def _held(self, code: str) -> Iterator[ReaderStudy]:
        """A study, while no other process or thread changes it."""
        self.read(code)
        with WorkLock(self.folder / _LOCKS / code).held(wait_s=_WAIT_SECONDS):
            yield self.read(code)

    def _write(self, study: ReaderStudy) -> None:
        text = study.model_dump_json(indent=1)
        write_bytes(self.folder / study.code / _STUDY, text.encode() + b"\n")

    def _files(self, code: str) -> list[Path]:
        return sorted((self.folder / code / _READERS).glob(f"*{_SUFFIX}"))

    def _existing(self, study: ReaderStudy, token: str) -> Path:
        path = self._reader_file(study, token)
        if not _TOKEN.fullmatch(token) or not path.is_file():
            raise ReaderStudyError(
                "This reader study does not know you; open it by its code and join again."
            )
        return path

    def _reader_file(self, study: ReaderStudy, token: str) -> Path:
        key, message = bytes.fromhex(study.secret), token.encode()
        name = hmac.digest(key, message, hashlib.sha256)[:16].hex()
        return self.folder / study.code / _READERS / f"{name}{_SUFFIX}"


def _parsed(path: Path, study: ReaderStudy) -> ReaderLog:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReaderStudyError(
            f"{path} cannot be opened ({error.strerror}); check its permissions."
        ) from error
    number, problems = 0, 0
    shown: dict[int, datetime] = {}
    answers: dict[int, Answered] = {}
    for line in filter(None, content.split(b"\n")):
        try:
            event = EVENTS.validate_json(line)
        except ValidationError:
            problems += 1
            continue
        if isinstance(event, Joined):
            number = event.number
        elif event.case >= len(study.cases):
            problems += 1
        elif isinstance(event, Shown):
            shown.setdefault(event.case, event.at)
        else:
            answers.setdefault(event.case, event)
    if number < 1:
        raise ReaderStudyError(f"{path} does not say which reader it is of; restore or delete it.")
    return ReaderLog(number, case_order(study, number), shown, answers, problems)


def _append(path: Path, event: BaseModel) -> None:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        content += b"\n"
    write_bytes(path, content + _line(event))


def _line(event: BaseModel) -> bytes:
    return event.model_dump_json().encode() + b"\n"


def _check_open(study: ReaderStudy) -> None:
    if study.ended is not None:
        raise ReaderStudyError("Your lecturer has ended this reader study; look at its results.")
    if not study.is_ready:
        raise ReaderStudyError(
            "This reader study is not ready: the model has not scored its cases yet; wait for your "
            "lecturer."
        )


def _check_turn(log: ReaderLog, case: int) -> None:
    if case != log.next_case:
        raise ReaderStudyError(
            "This case has been answered already, or is not due yet; continue with the one on show."
        )


def _new_code() -> str:
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(6))


def _now() -> datetime:
    return datetime.now(UTC)
