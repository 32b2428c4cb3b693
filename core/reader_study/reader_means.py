"""A reader study's answers as arrays, and figures of readers averaged over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.reader_study.answers import Answer
from core.reader_study.mrmc import (
    ReaderFigure,
    ReaderMean,
    auc_figure,
    mean_over_readers,
    share_figure,
)
from core.reader_study.records import CALLED_FROM, StudyCase
from core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class AnswerTable:
    """Answers by reader and case.

    Attributes:
        readers: Numbers of the readers, rising.
        groups: Group of each reader.
        cases: The cases.
        truth: bool (n_cases,).
        ratings: float64 (n_readers, n_cases), NaN where there is no answer.
        seconds: float64 (n_readers, n_cases), NaN where there is no answer.
        read: bool (2, n_readers, n_cases), answers without and with help.
        model: float64 (n_cases,), the model's p, NaN without one.
    """

    readers: tuple[int, ...]
    groups: tuple[int, ...]
    cases: tuple[StudyCase, ...]
    truth: NDArray[np.bool_]
    ratings: FloatArray
    seconds: FloatArray
    read: NDArray[np.bool_]
    model: FloatArray

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> AnswerTable:
        """Arrange answers, at least one."""
        groups = dict(sorted((answer.reader, answer.group) for answer in answers))
        readers = {number: place for place, number in enumerate(groups)}
        cases = {answer.case.study_id: answer.case for answer in answers}
        places = {study_id: place for place, study_id in enumerate(cases)}
        shape = len(readers), len(cases)
        ratings, seconds = np.full((2, *shape), np.nan)
        read, model = np.zeros((2, *shape), bool), np.full(len(cases), np.nan)
        for answer in answers:
            row, column = readers[answer.reader], places[answer.case.study_id]
            ratings[row, column] = answer.draft.rating
            seconds[row, column] = answer.seconds
            read[int(answer.helped), row, column] = True
            if answer.model_prob is not None:
                model[column] = answer.model_prob
        return cls(
            readers=tuple(readers),
            groups=tuple(groups.values()),
            cases=tuple(cases.values()),
            truth=np.array([case.patient for case in cases.values()]),
            ratings=ratings,
            seconds=seconds,
            read=read,
            model=model,
        )

    def figure(self, name: str, row: int, *, helped: bool) -> ReaderFigure | None:
        """One reader's figure with or without help; None where it is not defined.

        Args:
            name: "auc", "sensitivity" or "specificity".
            row: Place of the reader.
            helped: Which answers count.
        """
        read, ratings = self.read[int(helped), row], self.ratings[row]
        if name == "auc":
            return auc_figure(ratings, self.truth, read)
        called = ratings >= CALLED_FROM
        if name == "sensitivity":
            return share_figure(called, read & self.truth)
        return share_figure(~called, read & ~self.truth)


def mean_figure(table: AnswerTable, name: str, *, helped: bool) -> ReaderMean | None:
    """Mean of a figure over the readers for whom it is defined; arguments as for `figure`."""
    found = {row: table.figure(name, row, helped=helped) for row in range(len(table.readers))}
    return _mean(table, found, helped=helped, bounds=(0.0, 1.0))


def mean_difference(table: AnswerTable, name: str) -> ReaderMean | None:
    """Mean over readers of a figure with help less the same without; `name` as for `figure`."""
    found: dict[int, ReaderFigure | None] = {}
    for row in range(len(table.readers)):
        helped, alone = (table.figure(name, row, helped=arm) for arm in (True, False))
        found[row] = None if helped is None or alone is None else helped.minus(alone)
    return _mean(table, found, helped=True)


def model_lead(table: AnswerTable, *, helped: bool) -> ReaderMean | None:
    """Mean over readers of their AUC less the model's on the same cases."""
    found: dict[int, ReaderFigure | None] = {}
    for row in range(len(table.readers)):
        own = table.figure("auc", row, helped=helped)
        model = auc_figure(table.model, table.truth, table.read[int(helped), row])
        found[row] = None if own is None or model is None else own.minus(model)
    return _mean(table, found, helped=helped)


def _mean(
    table: AnswerTable,
    figures: dict[int, ReaderFigure | None],
    *,
    helped: bool,
    bounds: tuple[float, float] = (-1.0, 1.0),
) -> ReaderMean | None:
    known = {row: figure for row, figure in figures.items() if figure is not None}
    # Only groups that read different cases are told apart: means of groups weigh the same.
    arms = [table.read[int(helped), row] for row in known]
    crossed = any(not np.array_equal(arm, arms[0]) for arm in arms)
    groups = [table.groups[row] for row in known] if crossed else None
    return mean_over_readers(list(known.values()), groups=groups, bounds=bounds)
