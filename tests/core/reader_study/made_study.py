"""Made reader studies: plans, and answers of readers who are right or wrong as told."""

from __future__ import annotations

from pathlib import Path

from core.constants import VERTEBRAE
from core.reader_study.answers import Answer
from core.reader_study.records import AnswerDraft, StudyCase, planned

CROSS = (False, True, False, False, False, True, False)


def case(number: int, *, fractured: bool) -> StudyCase:
    flags = CROSS if fractured else (False,) * 7
    return StudyCase(study_id=f"1.2.{number}", fractured=flags)


def cases(fractured: int, sound: int) -> tuple[StudyCase, ...]:
    return tuple(case(k, fractured=k <= fractured) for k in range(1, fractured + sound + 1))


def plan(fractured: int = 3, sound: int = 3, **values):
    values = {"title": "Friday", "root": Path("data"), "cases": cases(fractured, sound)} | values
    return planned(**values)


def answer(reader: int, case: StudyCase, rating: int, **values) -> Answer:
    """An answer; a call names every fractured vertebra that there is."""
    called = rating >= 4
    named = tuple(name for name, y in zip(VERTEBRAE, case.fractured, strict=True) if y)
    known = {"group": 0, "place": 1, "helped": False, "seconds": 10.0} | values
    draft = AnswerDraft(rating=rating, vertebrae=named if called else ())
    return Answer(reader=reader, case=case, draft=draft, **known)
