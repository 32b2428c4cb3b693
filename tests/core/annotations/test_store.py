"""Annotations that last: history, conflicts, damage."""

from __future__ import annotations

import json
import multiprocessing
import threading
from pathlib import Path

import pytest

from core.annotations.records import AnnotatedBox, AnnotationDraft, drafted
from core.annotations.store import AnnotationStore
from core.errors import AnnotationConflictError, AnnotationError, DataRootError

STUDY = "1.2.840.7"
BOX = AnnotatedBox(slice_number=33, xyxy=(10.5, 20, 30.25, 44), status="accepted", score=0.8)


def draft(base=0, **values):
    return AnnotationDraft(**({"base": base, "author": "AB", "boxes": (BOX,)} | values))


@pytest.fixture
def store(tmp_path):
    return AnnotationStore(tmp_path / "annotations")


def test_what_is_saved_is_read_back_with_its_history(store):
    first = store.save(STUDY, draft(note="Müller's “line”\n"))
    second = store.save(
        STUDY,
        draft(1, author="CD", boxes=(), fractured=(False,) * 7),
    )
    log = AnnotationStore(store.folder).read(STUDY)
    assert log.versions == (first, second)
    assert log.current == second
    assert (first.revision, second.revision) == (1, 2)
    assert first.boxes == (BOX,)
    assert first.note == "Müller's “line”\n"
    assert first.at.tzinfo is not None
    assert log.refused == log.problems == ()
    assert store.study_ids() == (STUDY,)
    assert store.read("1.2.3").current is None


def test_an_edit_of_an_older_revision_is_refused_and_both_versions_are_kept(store):
    store.save(STUDY, draft())
    held = store.save(STUDY, draft(1, author="CD"))
    with pytest.raises(AnnotationConflictError, match=r"Revision 2 .* by CD .* is newer") as caught:
        store.save(STUDY, draft(1, author="EF", boxes=()))
    assert str(caught.value).endswith(".")
    log = store.read(STUDY)
    assert log.current == held
    (refused,) = log.refused
    assert (refused.author, refused.boxes, refused.base) == ("EF", (), 1)
    assert store.save(STUDY, draft(2, author="EF")).revision == 3


def test_of_many_at_once_one_holds_and_none_is_lost(store):
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        outcomes = pool.starmap(_try, [(str(store.folder), name) for name in ("AA", "BB", "CC")])
    threads = [threading.Thread(target=_try, args=(str(store.folder), "T")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = store.read(STUDY)
    assert sorted(outcomes) == ["held", "refused", "refused"]
    assert len(log.versions) == 1
    assert len(log.refused) == 5
    assert log.problems == ()


def _try(folder, author):
    try:
        AnnotationStore(Path(folder)).save(STUDY, draft(author=author))
    except AnnotationConflictError:
        return "refused"
    return "held"


@pytest.mark.parametrize(
    "damage",
    [
        b"not json",
        b'{"study_id": "1.2.840.7"}',
        b"\xff\xfe\x00",
        b'{"truncated": ',
        json.dumps({"study_id": "9.9", "revision": 2}).encode(),
    ],
)
def test_a_corrupt_line_is_one_sentence_with_its_number_and_the_rest_is_used(store, damage):
    first = store.save(STUDY, draft())
    path = store.folder / f"{STUDY}.jsonl"
    path.write_bytes(path.read_bytes() + damage)
    log = store.read(STUDY)
    (problem,) = log.problems
    assert f"{STUDY}.jsonl, line 2: " in problem
    assert problem.endswith(".")
    assert log.current == first
    second = store.save(STUDY, draft(1))
    again = store.read(STUDY)
    assert again.versions == (first, second)
    assert len(again.problems) == 1
    assert damage in path.read_bytes()


def test_a_line_of_another_study_is_not_used(store):
    store.save("1.9", draft())
    store.save(STUDY, draft())
    path = store.folder / f"{STUDY}.jsonl"
    path.write_bytes((store.folder / "1.9.jsonl").read_bytes() + path.read_bytes())
    log = store.read(STUDY)
    assert "line 1: it is of another study" in log.problems[0]
    assert log.current is not None
    assert log.current.study_id == STUDY


def test_an_id_is_no_path(store):
    with pytest.raises(DataRootError):
        store.save("../outside", draft())
    assert not (store.folder.parent / "outside.jsonl").exists()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"author": "a b"}, "initials"),
        ({"author": ""}, "initials"),
        (
            {
                "boxes": (BOX.model_copy(update={"vertebra": "C3"}),),
                "fractured": (True,) + (False,) * 6,
            },
            "a box of C3 is kept, but the verdict calls C3 intact",
        ),
        ({"boxes": (BOX,), "fractured": (False,) * 7}, "calls every vertebra intact"),
        ({"note": "x" * 501}, "500"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(values, told):
    with pytest.raises(AnnotationError, match=told) as caught:
        drafted(**({"base": 0, "author": "AB"} | values))
    assert str(caught.value).endswith("correct it.")
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize(
    "xyxy", [(5, 5, 5, 9), (9, 5, 5, 9), (-1, 0, 3, 3), (0, 0, float("nan"), 3)]
)
def test_a_box_has_a_size(xyxy):
    with pytest.raises(ValueError, match=r"left < right|finite"):
        AnnotatedBox(slice_number=1, xyxy=xyxy, status="added")
