"""Whether the levels that a vertebra network sees can be those of one cervical spine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores

LevelFault = Literal["none seen", "missing", "order", "height", "gap"]

TALLEST_MM: Final = 60.0
"""Longest extent of one level along the table. C7 of the synthetic cohorts reaches 58 mm with its
sloping spinous process."""
WIDEST_GAP_MM: Final = 20.0
"""Longest way without either of two neighbouring levels: they interlock, so there is hardly any."""


@dataclass(frozen=True, slots=True)
class LevelProblem:
    """One reason why the levels are implausible.

    Attributes:
        fault: Kind of the problem.
        levels: Names of the levels concerned; () for "none seen".
        text: The problem in one clause, for display.
    """

    fault: LevelFault
    levels: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class LevelPlausibility:
    """Result of the check.

    Attributes:
        problems: What is implausible; () if nothing is.
    """

    problems: tuple[LevelProblem, ...]

    @property
    def plausible(self) -> bool:
        """Whether order, height and gaps of the levels are possible."""
        return not self.problems


def check_levels(scores: StudyScores) -> LevelPlausibility:
    """Check order, height and gaps of the levels seen in a study.

    Scores of a vertebra mean nothing where the network takes something else for it. Only what no
    cervical spine shows is a problem; a scan may begin below C1 or end above C7.

    Args:
        scores: Scores of the study, whose `ranges` and `z_mm` are used.
    """
    slice_mm = _slice_mm(scores)
    # Upper and lower end of each level that is seen, mm along the table, head up.
    ends = {
        name: (
            float(scores.z_mm[span[0]]) + slice_mm / 2,
            float(scores.z_mm[span[1]]) - slice_mm / 2,
        )
        for name, span in zip(VERTEBRAE, scores.ranges, strict=True)
        if span is not None
    }
    if not ends:
        return LevelPlausibility((LevelProblem("none seen", (), "no cervical vertebra is seen"),))
    seen = list(ends)
    found = _missing(seen)
    found += [
        LevelProblem("height", (name,), f"{name} spans {top - bottom:.0f} mm")
        for name, (top, bottom) in ends.items()
        if top - bottom > TALLEST_MM
    ]
    for upper, lower in pairwise(seen):
        if sum(ends[lower]) >= sum(ends[upper]):
            found.append(LevelProblem("order", (upper, lower), f"{lower} is above {upper}"))
        # A level missing between the two is reported as such, not as a gap.
        elif VERTEBRAE.index(lower) == VERTEBRAE.index(upper) + 1:
            gap = ends[upper][1] - ends[lower][0]
            if gap > WIDEST_GAP_MM:
                text = f"{gap:.0f} mm lie between {upper} and {lower}"
                found.append(LevelProblem("gap", (upper, lower), text))
    return LevelPlausibility(tuple(found))


def _missing(seen: list[str]) -> list[LevelProblem]:
    """Levels that are not seen although levels on both sides are."""
    first, last = VERTEBRAE.index(seen[0]), VERTEBRAE.index(seen[-1])
    return [
        LevelProblem("missing", (name,), f"{name} is missing between {seen[0]} and {seen[-1]}")
        for name in VERTEBRAE[first : last + 1]
        if name not in seen
    ]


def _slice_mm(scores: StudyScores) -> float:
    """Mean distance of slices; 0 for a single one."""
    n = len(scores.z_mm)
    return abs(float(scores.z_mm[0] - scores.z_mm[-1])) / (n - 1) if n > 1 else 0.0
