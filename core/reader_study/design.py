"""Which cases a reader study has, in which order a reader sees them, and with whose help."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.errors import ReaderStudyError
from core.reader_study.records import ReaderStudyPlan, StudyCase

_CASES, _HALVES, _ORDER = 1, 2, 3
"""Streams of random numbers of one seed that do not depend on each other."""


def draw_cases(cases: Sequence[StudyCase], count: int, seed: int) -> tuple[StudyCase, ...]:
    """Draw cases at random, half of them fractured, in random order.

    Args:
        cases: Labelled studies to draw from.
        count: Number of cases; an odd one has one more without a fracture.
        seed: The same seed draws the same cases.

    Raises:
        ReaderStudyError: There are too few studies of a kind.
    """
    rng = np.random.default_rng([_CASES, seed])
    ordered = sorted(cases, key=lambda case: case.study_id)
    drawn: list[StudyCase] = []
    for wanted, patient in ((count // 2, True), (count - count // 2, False)):
        known = [case for case in ordered if case.patient is patient]
        if len(known) < wanted:
            kind = "with" if patient else "without"
            raise ReaderStudyError(
                f"{count} cases need {wanted} studies {kind} a fracture, but the data set has "
                f"{len(known)}; draw fewer, or choose the cases yourself."
            )
        drawn += [known[k] for k in rng.choice(len(known), wanted, replace=False)]
    return tuple(drawn[k] for k in rng.permutation(len(drawn)))


def halves(plan: ReaderStudyPlan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The two halves of a crossover's cases, as indices; both kinds of study in both."""
    rng = np.random.default_rng([_HALVES, plan.seed])
    parts: tuple[list[int], list[int]] = ([], [])
    placed = 0
    for patient in (True, False):
        known = [k for k, case in enumerate(plan.cases) if case.patient is patient]
        for k in rng.permutation(len(known)):
            parts[placed % 2].append(known[k])
            placed += 1
    # In the order of the plan: what a half looks like must not tell the truth.
    return tuple(sorted(parts[0])), tuple(sorted(parts[1]))


def case_order(plan: ReaderStudyPlan, number: int) -> tuple[int, ...]:
    """Indices of the cases in the order in which a reader sees them.

    All readers of a crossover read the same half first, so that the groups differ in help alone.

    Args:
        plan: The study.
        number: Number of the reader, from 1.
    """
    parts = halves(plan) if plan.help == "crossover" else (tuple(range(len(plan.cases))),)
    if plan.order == "same":
        return tuple(k for part in parts for k in part)
    rng = np.random.default_rng([_ORDER, plan.seed, number])
    return tuple(part[k] for part in parts for k in rng.permutation(len(part)))


def group_of(plan: ReaderStudyPlan, number: int) -> int:
    """Group of a reader, 0 or 1 by turns in a crossover, so that the groups are of equal size."""
    return (number - 1) % 2 if plan.help == "crossover" else 0


def is_helped(plan: ReaderStudyPlan, number: int, case: int) -> bool:
    """Whether a reader sees the model's scores of a case.

    In a crossover, group 0 has help in the first half and group 1 in the second.
    """
    if plan.help != "crossover":
        return plan.help == "with"
    return (case in halves(plan)[0]) == (group_of(plan, number) == 0)
