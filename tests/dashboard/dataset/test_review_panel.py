"""The review queue of a data set."""

from __future__ import annotations

from core.annotations.records import AnnotationDraft
from core.annotations.store import AnnotationStore
from core.config import Settings
from core.dataset.rsna import read_studies
from dashboard.dataset.review_panel import _queue


def test_annotated_studies_come_last(at_work, tmp_path):
    records = read_studies(Settings().data_root)
    store = AnnotationStore(tmp_path)
    first = records[0].study_id
    store.save(first, AnnotationDraft(base=0, author="AB"))
    queue = _queue(records, store, set(store.study_ids()))
    assert len(queue) == len(records)
    assert queue[-1].study.study_id == first
    assert queue[-1].state == "reviewed"
    assert {item.state for item in queue[:-1]} == {"unreviewed"}
