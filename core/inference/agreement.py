"""Agreement of several model types on a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from core.inference.verdict import StudyVerdict, judge
from core.models.names import short_name
from core.models.operating_points import SavedOperatingPoint, operating_point
from core.models.pairs import BundlePair


@dataclass(frozen=True, slots=True)
class Opinion:
    """The calls of one pair of networks at its operating points.

    Attributes:
        name: Name of the fracture bundle or localiser.
        title: Title of that bundle.
        verdict: The verdict, with the calls for the patient and C1..C7.
        probs: p_j for C1..C7.
        seen: Whether each of C1..C7 was seen.
        patient_point: Threshold of the patient call.
        vertebra_point: Threshold of the calls for C1..C7.
    """

    name: str
    title: str
    verdict: StudyVerdict
    probs: tuple[float, ...]
    seen: tuple[bool, ...]
    patient_point: SavedOperatingPoint
    vertebra_point: SavedOperatingPoint


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far several opinions agree.

    Attributes:
        opinions: In the order given.
        patient_votes: Number of opinions that call a fracture, and of those that make a call.
        vertebra_votes: The same for C1..C7, where a vertebra that was not seen gets no call.
    """

    opinions: tuple[Opinion, ...]
    patient_votes: tuple[int, int]
    vertebra_votes: tuple[tuple[int, int], ...]

    @property
    def unanimous(self) -> bool:
        """Whether all opinions that make a call agree on the patient."""
        votes, calls = self.patient_votes
        return votes in (0, calls)

    @property
    def disputed(self) -> tuple[str, ...]:
        """Vertebrae that only some of the opinions with a call for them call fractured."""
        return tuple(
            name
            for name, (votes, seen) in zip(VERTEBRAE, self.vertebra_votes, strict=True)
            if 0 < votes < seen
        )


def opinion(scores: StudyScores, pair: BundlePair) -> Opinion:
    """The verdict of one pair at the operating points of its fracture bundle."""
    patient, vertebra = (operating_point(pair.fracture, level) for level in ("patient", "vertebra"))
    config = pair.fracture.config
    return Opinion(
        name=short_name(config.name),
        title=config.title,
        verdict=judge(scores, pair, patient=patient.threshold, vertebra=vertebra.threshold),
        probs=tuple(float(p) for p in scores.patient.vertebra_probs),
        seen=tuple(span is not None for span in scores.ranges),
        patient_point=patient,
        vertebra_point=vertebra,
    )


def agreement(opinions: Sequence[Opinion]) -> Agreement:
    """Count the votes.

    Raises:
        ValueError: There is no opinion.
    """
    if not opinions:
        raise ValueError("Agreement needs at least one opinion.")
    calls = [one.verdict.calls for one in opinions]
    return Agreement(
        opinions=tuple(opinions),
        patient_votes=_votes([one.patient for one in calls]),
        vertebra_votes=tuple(
            _votes([one.vertebrae[j] for one in calls]) for j in range(len(VERTEBRAE))
        ),
    )


def _votes(calls: Sequence[bool | None]) -> tuple[int, int]:
    """Number of fracture calls, and of calls."""
    return sum(c is True for c in calls), sum(c is not None for c in calls)
