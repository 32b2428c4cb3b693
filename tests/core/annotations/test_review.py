"""The order of the review queue."""

from __future__ import annotations

from datetime import UTC, datetime

from core.annotations.records import StudyAnnotation
from core.annotations.review import Scored, review_queue


def verdict(study_id, fractured):
    return StudyAnnotation(
        study_id=study_id, revision=1, base=0, author="AB", at=datetime.now(UTC),
        fractured=(fractured, *[False] * 6),
    )  # fmt: skip


def test_unreviewed_studies_come_first_disagreements_before_the_uncertain():
    queue = review_queue(
        [
            (Scored("sure", 0.97, True, True), None),
            (Scored("unscored"), None),
            (Scored("open", 0.52, True, None), None),
            (Scored("wrong", 0.9, True, False), None),
            (Scored("done", 0.8, True, True), verdict("done", True)),
            (Scored("overruled", 0.8, True, True), verdict("overruled", False)),
        ]
    )
    assert [item.study.study_id for item in queue] == [
        "wrong", "open", "sure", "unscored", "overruled", "done",
    ]  # fmt: skip
    assert [item.state for item in queue] == [*["unreviewed"] * 4, "disagreement", "reviewed"]


def test_no_call_and_no_truth_are_no_disagreement():
    queue = review_queue([(Scored("a", 0.9, None, False), None), (Scored("b", 0.9, True), None)])
    assert [item.study.study_id for item in queue] == ["a", "b"]
    (item,) = review_queue([(Scored("c", 0.9, None, False), verdict("c", False))])
    assert item.state == "reviewed"
