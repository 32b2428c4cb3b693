"""Reader studies on disk: continued after a reload, private to each reader, limited, deleted."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import ReaderStudyError
from core.reader_study import store as store_module
from core.reader_study.records import CaseScores, ModelScores, drafted_answer
from core.reader_study.store import ReaderStudyStore
from tests.core.reader_study.made_study import plan

SCORES = CaseScores(prob=0.7, vertebrae=(0.1,) * 7, slices=(3,) * 7)


@pytest.fixture
def store(tmp_path):
    return ReaderStudyStore(tmp_path / "studies")


def said(rating=2, **values):
    return drafted_answer(rating=rating, **values)


def test_a_reader_continues_where_the_token_left_off(store):
    code = store.make(plan()).code
    token = store.join(code)
    assert store.reader(code, token).next_case == 0
    store.show(code, token, 0)
    store.answer(code, token, 0, said(5, vertebrae=("C2",)))
    again = ReaderStudyStore(store.folder).reader(code, token)
    assert (again.number, again.next_case) == (1, 1)
    assert again.answers[0].vertebrae == ("C2",)
    assert store.knows(code, token)
    assert not store.knows(code, token[:-1] + "x")
    assert not store.knows("AAAAAA", token)


def test_time_runs_from_the_first_showing_by_the_servers_clock(store, monkeypatch):
    code = store.make(plan()).code
    token = store.join(code)
    clock = [datetime(2026, 5, 4, 10, tzinfo=UTC)]
    monkeypatch.setattr(store_module, "_now", lambda: clock[0])
    began = store.show(code, token, 0)
    clock[0] += timedelta(seconds=20)
    # A reload shows the case again.
    assert store.show(code, token, 0) == began
    clock[0] += timedelta(seconds=11.5)
    assert store.answer(code, token, 0, said()).seconds == 31.5


def test_an_answer_is_given_once_in_turn_and_only_to_a_case_that_was_shown(store):
    code = store.make(plan()).code
    token = store.join(code)
    with pytest.raises(ReaderStudyError, match="never opened"):
        store.answer(code, token, 0, said())
    with pytest.raises(ReaderStudyError, match="not due"):
        store.show(code, token, 1)
    store.show(code, token, 0)
    store.answer(code, token, 0, said(1))
    with pytest.raises(ReaderStudyError, match="answered already"):
        store.answer(code, token, 0, said(6))
    assert store.reader(code, token).answers[0].rating == 1


def test_nobody_reads_anothers_answers_and_no_file_gives_access(store):
    code = store.make(plan()).code
    mine, other = store.join(code), store.join(code)
    store.show(code, mine, 0)
    store.answer(code, mine, 0, said())
    assert store.reader(code, other).answers == {}
    names = [path.stem for path in (store.folder / code / "readers").iterdir()]
    kept = b"".join(path.read_bytes() for path in store.folder.rglob("*") if path.is_file())
    for token in (mine, other):
        assert token.encode() not in kept
        assert token not in names
    for wrong in ("", "../study", names[0], mine[:-1], f"{mine}\n", "é" * 22):
        with pytest.raises(ReaderStudyError, match="does not know you"):
            store.reader(code, wrong)


@pytest.mark.parametrize("code", ["", "../../x", "abcdef", "AAAAA", "AAAAAAA", "AAAAA0", "ÄAAAAA"])
def test_a_wrong_code_is_no_path(store, code):
    for action in (store.read, store.join, store.end, store.delete, store.readers):
        with pytest.raises(ReaderStudyError, match="code"):
            action(code)
    assert not store.folder.exists() or list(store.folder.glob("**/study.json")) == []


def test_after_the_end_nothing_is_taken_and_before_the_model_is_there_nothing_begins(store):
    study = store.make(plan(help="with"))
    with pytest.raises(ReaderStudyError, match="not ready"):
        store.join(study.code)
    with pytest.raises(ReaderStudyError, match="1 scores for 6 cases"):
        store.keep_model(study.code, ModelScores(title="m", threshold=0.5, cases=(SCORES,)))
    store.keep_model(study.code, ModelScores(title="m", threshold=0.5, cases=(SCORES,) * 6))
    token = store.join(study.code)
    store.show(study.code, token, 0)
    store.end(study.code)
    ended = store.read(study.code).ended
    store.end(study.code)
    assert store.read(study.code).ended == ended is not None
    for action in (
        lambda: store.join(study.code),
        lambda: store.answer(study.code, token, 0, said()),
    ):
        with pytest.raises(ReaderStudyError, match="has ended"):
            action()


def test_limits_of_studies_and_readers(store, monkeypatch):
    monkeypatch.setattr(store_module, "MAX_STUDIES", 2)
    monkeypatch.setattr(store_module, "MAX_READERS", 2)
    code = store.make(plan()).code
    store.make(plan())
    with pytest.raises(ReaderStudyError, match="2 reader studies"):
        store.make(plan())
    store.join(code)
    store.join(code)
    with pytest.raises(ReaderStudyError, match="2 readers already"):
        store.join(code)


def test_deleting_leaves_nothing_and_a_late_answer_is_refused(store):
    code = store.make(plan()).code
    token = store.join(code)
    store.show(code, token, 0)
    store.delete(code)
    assert store.codes() == ()
    with pytest.raises(ReaderStudyError, match="no reader study"):
        store.answer(code, token, 0, said())
    left = [path for path in store.folder.rglob("*") if path.is_file()]
    assert [path for path in left if ".locks" not in path.parts] == []


def test_many_join_and_answer_at_once_with_a_number_each(store):
    code = store.make(plan(help="with"), ModelScores(title="m", threshold=0.5, cases=(SCORES,) * 6))
    code = code.code

    def read_one(_):
        own = ReaderStudyStore(store.folder)
        token = own.join(code)
        own.show(code, token, 0)
        own.answer(code, token, 0, said())
        return token

    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(read_one, range(8)))
    logs = store.readers(code)
    assert [log.number for log in logs] == list(range(1, 9))
    assert all(len(log.answers) == 1 and log.answers[0].helped for log in logs)
    assert len(set(tokens)) == 8


def test_a_damaged_line_is_counted_and_the_others_are_used(store):
    code = store.make(plan()).code
    token = store.join(code)
    store.show(code, token, 0)
    store.answer(code, token, 0, said())
    (path,) = (store.folder / code / "readers").iterdir()
    lines = path.read_text().splitlines()
    far = json.dumps(json.loads(lines[1]) | {"case": 59})
    path.write_text("\n".join([*lines, "{", far, lines[-1].replace('"rating":2', '"rating":9')]))
    log = store.reader(code, token)
    assert (log.problems, log.answers[0].rating) == (3, 2)
    (store.folder / code / "study.json").write_text("{}")
    with pytest.raises(ReaderStudyError, match="cannot be read as a reader study"):
        store.read(code)
    assert store.studies() == ()


@pytest.mark.parametrize(
    "values",
    [
        {"rating": 7},
        {"rating": None},
        {"rating": 5, "vertebrae": ("C8",)},
        {"rating": 5, "vertebrae": ("C2", "C2")},
        {"rating": 2, "vertebrae": ("C2",)},
        {"rating": 5, "boxes": ({"slice_index": 1, "xyxy": (5, 5, 5, 9)},)},
        {"rating": 5, "boxes_right": 1},
    ],
)
def test_an_answer_that_contradicts_itself_is_refused(values):
    with pytest.raises(ReaderStudyError, match="cannot be kept"):
        drafted_answer(**values)
