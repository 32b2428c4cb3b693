"""The verdict on one study: a call, or the reasons why none is made.

The one place that decides it; pages, reports and files draw the same `StudyVerdict`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from core.constants import N_VERTEBRAE
from core.inference.plausibility import LevelProblem, check_levels
from core.inference.study_scores import Calls, StudyScores, call
from core.models.abstention import CallRegion, DistributionReference
from core.models.operating_points import operating_point
from core.models.pairs import BundlePair

Call = Literal["fractured", "not fractured", "uncertain", "out of distribution"]

NO_CALL: Final = "This scan looks unlike what the networks learnt; no call is made."
NO_REFERENCE: Final = "no distribution reference"
NO_CALLS: Final = Calls(patient=None, vertebrae=(None,) * N_VERTEBRAE)
"""The calls of a study for which none is made."""
_WORDS: Final[dict[bool, Call]] = {True: "fractured", False: "not fractured"}


@dataclass(frozen=True, slots=True)
class StudyVerdict:
    """What is said about one study.

    Attributes:
        prob: p.
        threshold: Patient threshold.
        calls: Calls at the thresholds; `NO_CALLS` where none is made.
        problems: Why the levels cannot be those of one cervical spine; () if they can.
        score: Distribution score, above 1 out of distribution; None without a reference.
        reference: Reference studies of the score; None without them.
        region: Conformal region of p; None if the networks have none.
    """

    prob: float
    threshold: float
    calls: Calls
    problems: tuple[LevelProblem, ...]
    score: float | None
    reference: DistributionReference | None
    region: CallRegion | None

    @property
    def in_distribution(self) -> bool | None:
        """Whether the scan is one the networks may judge; None if that is not known.

        Implausible levels show as well that the networks do not know such a scan.
        """
        if self.problems:
            return False
        return None if self.score is None else self.score <= 1

    @property
    def call(self) -> Call:
        """The call in one word: the operating point's where the region holds only that answer."""
        if self.calls.patient is None:
            return "out of distribution"
        certain = self.region is None or self.answers == (_WORDS[self.calls.patient],)
        return _WORDS[self.calls.patient] if certain else "uncertain"

    @property
    def answers(self) -> tuple[Call, ...]:
        """The answers in the conformal region of p; both or neither is possible."""
        if self.region is None or self.calls.patient is None:
            return ()
        return tuple(
            word
            for value, word in _WORDS.items()
            if self.region.contains(self.prob, fractured=value)
        )

    @property
    def percentile(self) -> float | None:
        """Share of reference studies with at most this distribution score, in percent."""
        if self.score is None or self.reference is None:
            return None
        return self.reference.percentile(self.score)

    @property
    def headline(self) -> str:
        """The call at the operating point, or that none is made."""
        if self.calls.patient is None:
            return NO_CALL
        return "Fracture suspected" if self.calls.patient else "No fracture called"

    @property
    def reason(self) -> str:
        """Why no call is made, in a sentence; "" where one is made."""
        if self.problems:
            reasons = "; ".join(problem.text for problem in self.problems)
            return (
                "The levels that the vertebra network sees are not those of one cervical spine: "
                f"{reasons}."
            )
        if self.in_distribution is False:
            return f"{self.distribution[0].upper()}{self.distribution[1:]}."
        return ""

    @property
    def uncertainty(self) -> str:
        """Why the call is uncertain, in a sentence; "" where it is not."""
        if self.call != "uncertain" or self.region is None:
            return ""
        both = {0: "neither answer", 1: "only the other answer", 2: "both answers"}
        return (
            f"Uncertain: at {self.region.coverage:.0%} coverage, "
            f"{both[len(self.answers)]} fits a probability of {self.prob:.3f}."
        )

    @property
    def distribution(self) -> str:
        """The distribution score with its meaning, as a clause."""
        if self.score is None or self.percentile is None or self.reference is None:
            return NO_REFERENCE
        return (
            f"distribution score {self.score:.2f}, limit 1, higher than for "
            f"{self.percentile:.0f} % of {self.reference.studies} reference studies"
        )

    def to_json(self) -> dict[str, Any]:
        """The verdict's fields of `predictions.json`."""
        return {
            "call": self.call,
            "in_distribution": self.in_distribution,
            "distribution_score": self.score,
            "distribution_percentile": self.percentile,
            "threshold": self.threshold,
            "region": list(self.answers),
            "reason": self.reason or self.uncertainty,
        }


def gives_a_call(scores: StudyScores) -> bool:
    """Whether the levels are plausible and the scan is not known to be out of distribution."""
    score = scores.predictions.distribution_score
    return check_levels(scores).plausible and (score is None or score <= 1)


def judge(
    scores: StudyScores,
    pair: BundlePair,
    *,
    patient: float | None = None,
    vertebra: float | None = None,
) -> StudyVerdict:
    """Decide the verdict on a study.

    No call is made if the levels are implausible or the scan is out of distribution. Otherwise the
    operating point makes it, and the conformal region shows whether it is certain.

    Args:
        scores: Scores of the study by `pair`.
        pair: The networks.
        patient: Patient threshold; None for the operating point.
        vertebra: Vertebra threshold; None for the operating point.
    """
    if patient is None:
        patient = operating_point(pair.fracture, "patient").threshold
    if vertebra is None:
        vertebra = operating_point(pair.fracture, "vertebra").threshold
    made = gives_a_call(scores)
    return StudyVerdict(
        prob=float(scores.patient.patient_prob),
        threshold=patient,
        calls=call(scores, patient=patient, vertebra=vertebra) if made else NO_CALLS,
        problems=check_levels(scores).problems,
        score=scores.predictions.distribution_score,
        reference=pair.vertebra.reference,
        region=pair.fracture.region,
    )
