"""The review queue: which studies to annotate next, and how far the review is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from html import escape
from typing import Final

import streamlit as st

from core.annotations.review import ReviewItem, Scored, review_queue
from core.annotations.store import AnnotationStore
from core.errors import CSpineError
from core.inference.verdict import judge
from core.models.pairs import BundlePair, choose_pair
from core.types import StudyRecord
from dashboard.dataset.indexed_set import IndexedSet
from dashboard.session.settings import settings
from dashboard.session.urls import PAGES
from dashboard.session.worklist import WorkItem, Worklist, open_worklist
from dashboard.studies.predictions import stored_scores
from dashboard.studies.study_annotations import annotation_store
from dashboard.widgets.html_table import html_table

MAX_QUEUED: Final = 400
"""Most studies whose stored scores are looked up; listing the files of more takes seconds."""
_SHOWN: Final = 12


def review_panel(data: IndexedSet) -> None:
    """Draw progress and queue of the data set's review.

    Args:
        data: The data set.
    """
    records = list(data.records.values())
    if not records:
        return
    with st.expander("Review queue", icon=":material/playlist_add_check:", key="review_queue"):
        store = annotation_store()
        known = set(store.study_ids())
        done = sum(record.study_id in known for record in records)
        st.progress(done / len(records), text=f"{done:,} of {len(records):,} studies annotated")
        st.caption(
            "First the studies that nobody has annotated: those whose call differs from the label, "
            "then the least certain. Then those whose verdict differs from the call."
        )
        if st.toggle("Show the queue", key="show_review_queue"):
            _queue_table(_queue(records, store, known))


def _queue_table(queue: Sequence[ReviewItem]) -> None:
    st.html(
        html_table(
            ("Study", "State", "Fracture probability", "Annotated by"),
            (_cells(item) for item in queue[:_SHOWN]),
        )
    )
    if len(queue) > _SHOWN:
        st.caption(f"and {len(queue) - _SHOWN:,} more")
    if st.button("Open the first on Diagnosis", icon=":material/radiology:", key="start_review"):
        items = tuple(WorkItem(item.study.study_id, _text(item)) for item in queue)
        open_worklist(Worklist("Review queue", items, "dataset"), 0)
        st.switch_page(PAGES / "diagnosis.py")


def _cells(item: ReviewItem) -> tuple[str, ...]:
    prob = item.study.prob
    return (
        escape(f"…{item.study.study_id[-12:]}"),
        item.state,
        "not scored" if prob is None else f"{prob:.3f}",
        "–" if item.annotation is None else escape(item.annotation.author),
    )


def _text(item: ReviewItem) -> str:
    prob = item.study.prob
    return item.state if prob is None else f"{item.state}, patient score {prob:.3f}"


def _queue(
    records: Sequence[StudyRecord], store: AnnotationStore, known: set[str]
) -> tuple[ReviewItem, ...]:
    """The queue of `MAX_QUEUED` studies, those that nobody has annotated before others."""
    pair = None
    with suppress(CSpineError):
        pair = choose_pair(settings().checkpoints)
    first = sorted(records, key=lambda record: record.study_id in known)[:MAX_QUEUED]
    return review_queue(
        (
            _scored(record, pair),
            store.current(record.study_id) if record.study_id in known else None,
        )
        for record in first
    )


def _scored(record: StudyRecord, pair: BundlePair | None) -> Scored:
    labelled = record.patient_fractured
    with suppress(CSpineError):
        scores = None if pair is None else stored_scores(record.folder, pair)
        if scores is not None and pair is not None:
            verdict = judge(scores, pair)
            return Scored(record.study_id, verdict.prob, verdict.calls.patient, labelled)
    return Scored(record.study_id, labelled=labelled)
