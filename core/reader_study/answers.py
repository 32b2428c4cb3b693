"""A reader study's answers as one table: made of the files, written and read as CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from pydantic import ValidationError

from core.constants import VERTEBRAE
from core.dataset.csv_reader import RAGGED, read_table
from core.errors import ReaderStudyError
from core.reader_study.design import group_of
from core.reader_study.records import AnswerDraft, CaseScores, Flags, ReaderStudy, StudyCase
from core.reader_study.store import ReaderLog
from core.system.csv_text import plain_cell, table_csv

COLUMNS: Final = (
    "reader", "group", "place", "study_id", "true_vertebrae", "helped", "rating", "called",
    "vertebrae", "boxes", "boxes_right", "seconds", "over_time", "model_prob", "model_threshold",
)  # fmt: skip
_LARGEST: Final = 64 << 20
"""Bytes of a file that is read: more than the limits of a study allow it to have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One reader's answer to one case.

    Attributes:
        reader: Number of the reader, from 1.
        group: Group of a crossover, 0 or 1; 0 otherwise.
        place: Place of the case in the reader's order, from 1.
        case: The case with its truth.
        draft: What the reader said.
        helped: Whether the reader saw the model's scores.
        seconds: From showing the case to the answer.
        over_time: Whether that was longer than allowed.
        model_prob: The model's p; None without a model.
        model_threshold: A probability from here on is the model's call; None without a model.
    """

    reader: int
    group: int
    place: int
    case: StudyCase
    draft: AnswerDraft
    helped: bool
    seconds: float
    over_time: bool = False
    model_prob: float | None = None
    model_threshold: float | None = None


def study_answers(study: ReaderStudy, logs: Iterable[ReaderLog]) -> tuple[Answer, ...]:
    """The answers of all readers, by reader and place.

    Args:
        study: The study.
        logs: What its readers did.
    """
    model = study.model
    scores: Sequence[CaseScores | None] = [None] * len(study.cases)
    if model is not None:
        scores = model.cases
    found: list[Answer] = []
    for log in logs:
        for place, case in enumerate(log.order, start=1):
            if (kept := log.answers.get(case)) is None:
                continue
            about = scores[case]
            draft = AnswerDraft(
                rating=kept.rating, vertebrae=kept.vertebrae, boxes=kept.boxes,
                boxes_right=kept.boxes_right,
            )  # fmt: skip
            found.append(
                Answer(
                    reader=log.number,
                    group=group_of(study, log.number),
                    place=place,
                    case=study.cases[case],
                    draft=draft,
                    helped=kept.helped,
                    seconds=kept.seconds,
                    over_time=study.limit_s is not None and kept.seconds > study.limit_s,
                    model_prob=None if about is None else about.prob,
                    model_threshold=None if model is None else model.threshold,
                )
            )
    return tuple(found)


def answers_csv(answers: Iterable[Answer]) -> str:
    """The answers as CSV, one row per reader and case, without anything that names a person."""
    return table_csv(COLUMNS, (_cells(answer) for answer in answers))


def _cells(answer: Answer) -> list[object]:
    draft = answer.draft
    boxes = [[box.slice_index, *box.xyxy] for box in draft.boxes]
    return [
        answer.reader, answer.group, answer.place, answer.case.study_id,
        _named(answer.case.fractured), int(answer.helped), draft.rating, int(draft.called),
        " ".join(draft.vertebrae), json.dumps(boxes) if boxes else "", draft.boxes_right,
        f"{answer.seconds:.2f}", int(answer.over_time), answer.model_prob, answer.model_threshold,
    ]  # fmt: skip


def _named(flags: Flags) -> str:
    return " ".join(name for name, y in zip(VERTEBRAE, flags, strict=True) if y)


def read_answers(file: Path) -> tuple[Answer, ...]:
    """Read the answers that `answers_csv` wrote.

    Raises:
        DataRootError: The file is no CSV text, or lacks a column.
        ReaderStudyError: It does not exist, is too large, or a row of it is wrong.
    """
    if file.is_file() and file.stat().st_size > _LARGEST:
        raise ReaderStudyError("The file is larger than any export of answers; check what it is.")
    table = read_table(file, COLUMNS, remedy="export the answers again from the page Reader study")
    if table is None:
        raise ReaderStudyError(f"{file} does not exist; give the CSV that the page exported.")
    answers: list[Answer] = []
    met: set[tuple[int, str]] = set()
    for number, row in zip(table.index, table.to_dict("records"), strict=True):
        try:
            if row[RAGGED]:
                raise ValueError("it has more or fewer values than the heading")
            answer = _answer({name: plain_cell(str(row[name])) for name in COLUMNS})
        except (ValueError, TypeError) as error:
            raise ReaderStudyError(
                f"Line {number} of the answers cannot be read: {_reason(error)}; correct or "
                "delete it."
            ) from error
        key = answer.reader, answer.case.study_id
        if key in met:
            raise ReaderStudyError(
                f"Line {number} of the answers repeats a reader's answer to a case; delete one."
            )
        met.add(key)
        answers.append(answer)
    _check_agree(answers)
    return tuple(answers)


def _answer(row: dict[str, str]) -> Answer:
    true = row["true_vertebrae"].split()
    if unknown := set(true) - set(VERTEBRAE):
        raise ValueError(f"{min(unknown)} is no vertebra")
    fractured = cast(Flags, tuple(name in true for name in VERTEBRAE))
    boxes = json.loads(row["boxes"]) if row["boxes"] else []
    seconds = float(row["seconds"])
    if not 0 <= seconds < float("inf"):
        raise ValueError("seconds are below 0 or endless")
    return Answer(
        reader=int(row["reader"]),
        group=int(row["group"]),
        place=int(row["place"]),
        case=StudyCase(study_id=row["study_id"], fractured=fractured),
        draft=AnswerDraft.model_validate(
            {
                "rating": row["rating"],
                "vertebrae": row["vertebrae"].split(),
                "boxes": [{"slice_index": box[0], "xyxy": box[1:]} for box in boxes],
                "boxes_right": row["boxes_right"],
            }
        ),
        helped=bool(int(row["helped"])),
        seconds=seconds,
        over_time=bool(int(row["over_time"])),
        model_prob=_share(row["model_prob"]),
        model_threshold=_share(row["model_threshold"]),
    )


def _share(text: str) -> float | None:
    if not text:
        return None
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError("a probability of the model is outside 0 to 1")
    return value


def _reason(error: ValueError | TypeError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where or 'the answer'}: {str(first['msg']).removeprefix('Value error, ')}"
    return str(error).splitlines()[0]


def _check_agree(answers: Sequence[Answer]) -> None:
    """Refuse a table in which one case has two truths or two scores of the model."""
    facts: dict[str, tuple[object, ...]] = {}
    for answer in answers:
        said = answer.case.fractured, answer.model_prob, answer.model_threshold
        if facts.setdefault(answer.case.study_id, said) != said:
            raise ReaderStudyError(
                "One study has two truths or two scores of the model in the answers; export them "
                "again."
            )
