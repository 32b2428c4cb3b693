"""Which study to look at next: unreviewed ones, disagreements, the least certain first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from core.annotations.records import StudyAnnotation

ReviewState = Literal["unreviewed", "disagreement", "reviewed"]


@dataclass(frozen=True, slots=True)
class Scored:
    """A study with what the networks and the labels say.

    Attributes:
        study_id: StudyInstanceUID.
        prob: Fracture probability of the patient; None without scores.
        called: The patient's call; None without scores and where no call is made.
        labelled: Truth of the data set; None where unlabelled.
    """

    study_id: str
    prob: float | None = None
    called: bool | None = None
    labelled: bool | None = None


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A study in the queue.

    Attributes:
        study: With its scores.
        state: "disagreement" where call and truth differ, the truth being the verdict if there is
            one, else the label.
        annotation: The version that holds; None for an unreviewed study.
    """

    study: Scored
    state: ReviewState
    annotation: StudyAnnotation | None = None

    @property
    def certainty(self) -> float:
        """Distance of the probability from 0.5; of an unscored study more than any."""
        return 1.0 if self.study.prob is None else abs(self.study.prob - 0.5)


def review_queue(
    studies: Iterable[tuple[Scored, StudyAnnotation | None]],
) -> tuple[ReviewItem, ...]:
    """Order studies for review.

    Unreviewed studies come first, among them those whose call differs from the label, then those
    with the least certain probability; reviewed ones whose verdict differs from the call follow.
    """
    items = [_item(study, annotation) for study, annotation in studies]
    return tuple(
        sorted(
            items,
            key=lambda item: (
                item.annotation is not None,
                not _differs(item.study, item.annotation),
                item.certainty,
                item.study.study_id,
            ),
        )
    )


def _item(study: Scored, annotation: StudyAnnotation | None) -> ReviewItem:
    if annotation is None:
        return ReviewItem(study, "unreviewed")
    state = "disagreement" if _differs(study, annotation) else "reviewed"
    return ReviewItem(study, state, annotation)


def _differs(study: Scored, annotation: StudyAnnotation | None) -> bool:
    truth = study.labelled
    if annotation is not None and annotation.fractured is not None:
        truth = any(annotation.fractured)
    return truth is not None and study.called is not None and truth != study.called
