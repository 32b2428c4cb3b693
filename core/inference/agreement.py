"""Agreement of several model types on a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores, call
from core.models.operating_points import SavedOperatingPoint, operating_point
from core.models.pairs import BundlePair


@dataclass(frozen=True, slots=True)
class Opinion:
    """The calls of one pair of networks at its operating points.

    Attributes:
        name: Name of the fracture bundle or localiser.
        title: Title of that bundle.
        patient_prob: p.
        patient: Call for the patient.
        probs: p_j for C1..C7.
        vertebrae: Calls for C1..C7; None for a vertebra that was not seen.
        patient_point: Threshold of the patient call.
        vertebra_point: Threshold of the calls for C1..C7.
    """

    name: str
    title: str
    patient_prob: float
    patient: bool
    probs: tuple[float, ...]
    vertebrae: tuple[bool | None, ...]
    patient_point: SavedOperatingPoint
    vertebra_point: SavedOperatingPoint


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far several opinions agree.

    Attributes:
        opinions: In the order given.
        patient_votes: Number of opinions that call a fracture.
        vertebra_votes: The same for C1..C7, and the number of opinions that saw the vertebra.
    """

    opinions: tuple[Opinion, ...]
    patient_votes: int
    vertebra_votes: tuple[tuple[int, int], ...]

    @property
    def unanimous(self) -> bool:
        """Whether all opinions agree on the patient."""
        return self.patient_votes in (0, len(self.opinions))

    @property
    def disputed(self) -> tuple[str, ...]:
        """Vertebrae that only some of the opinions that saw them call fractured."""
        return tuple(
            name
            for name, (votes, seen) in zip(VERTEBRAE, self.vertebra_votes, strict=True)
            if 0 < votes < seen
        )


def opinion(scores: StudyScores, pair: BundlePair) -> Opinion:
    """Make the calls of one pair at the operating points of its fracture bundle."""
    patient, vertebra = (operating_point(pair.fracture, level) for level in ("patient", "vertebra"))
    calls = call(scores, patient=patient.threshold, vertebra=vertebra.threshold)
    config = pair.fracture.config
    return Opinion(
        name=config.name,
        title=config.title,
        patient_prob=float(scores.patient.patient_prob),
        patient=calls.patient,
        probs=tuple(float(p) for p in scores.patient.vertebra_probs),
        vertebrae=calls.vertebrae,
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
    columns = [[one.vertebrae[j] for one in opinions] for j in range(len(VERTEBRAE))]
    return Agreement(
        opinions=tuple(opinions),
        patient_votes=sum(one.patient for one in opinions),
        vertebra_votes=tuple(
            (sum(c is True for c in column), sum(c is not None for c in column))
            for column in columns
        ),
    )
