"""The export is read back as it was, names nobody, and is refused where it is wrong."""

from __future__ import annotations

import pytest

from core.errors import CSpineError, ReaderStudyError
from core.reader_study.answers import answers_csv, read_answers, study_answers
from core.reader_study.records import (
    Answered,
    CaseScores,
    MarkedBox,
    ModelScores,
    drafted_answer,
)
from core.reader_study.store import ReaderLog, ReaderStudyStore
from tests.core.reader_study.made_study import plan


@pytest.fixture
def read(tmp_path):
    """Reads a text from a file."""

    def read(text):
        file = tmp_path / "answers.csv"
        file.write_text(text, encoding="utf-8")
        return read_answers(file)

    return read


@pytest.fixture
def exported(tmp_path):
    """A crossover of two readers, one of whom left after a case; with the study's secrets."""
    store = ReaderStudyStore(tmp_path)
    scores = tuple(CaseScores(prob=k / 10, vertebrae=(0.1,) * 7, slices=(1,) * 7) for k in range(6))
    model = ModelScores(title="m", threshold=0.35, cases=scores)
    study = store.make(plan(help="crossover", order="per reader", seed=3, limit_s=60), model)
    tokens = [store.join(study.code) for _ in range(2)]
    box = MarkedBox(slice_index=4, xyxy=(1.5, 2.0, 3.0, 4.25))
    for token, count in zip(tokens, (6, 1), strict=True):
        for k in range(count):
            case = store.reader(study.code, token).next_case
            store.show(study.code, token, case)
            drafts = [
                drafted_answer(rating=2),
                drafted_answer(rating=6, vertebrae=("C2", "C7"), boxes=(box, box), boxes_right=1),
            ]
            store.answer(study.code, token, case, drafts[k % 2])
    answers = study_answers(study, store.readers(study.code))
    return study, tokens, answers


def test_an_export_is_read_back_as_it_was(exported, read):
    _, _, answers = exported
    assert read(answers_csv(answers)) == answers
    assert read("\ufeff" + answers_csv(answers)) == answers
    assert len(answers) == 7
    assert [answer.place for answer in answers] == [1, 2, 3, 4, 5, 6, 1]
    assert {answer.group for answer in answers} == {0, 1}
    assert [answer.helped for answer in answers] == [True] * 3 + [False] * 3 + [False]


def test_answers_after_the_time_are_marked(exported):
    study, _, _ = exported
    given = Answered(rating=1, case=0, helped=False, seconds=60.0, at=study.made)
    late = given.model_copy(update={"case": 1, "seconds": 60.01})
    log = ReaderLog(1, tuple(range(6)), {}, {0: given, 1: late})
    assert [one.over_time for one in study_answers(study, [log])] == [False, True]
    free = study.model_copy(update={"limit_s": None})
    assert not any(one.over_time for one in study_answers(free, [log]))


def test_an_export_names_nobody_and_opens_nothing(exported):
    study, tokens, answers = exported
    text = answers_csv(answers)
    for secret in (study.secret, study.code, study.title, *tokens):
        assert secret not in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("reader,", "leser,", "no column reader"),
        ("\n1,0,1,", "\none,0,1,", "Line 2"),
        (",2,0,", ",8,0,", "rating"),
        ("C2 C6", "C2 C9", "C9 is no vertebra"),
        ("0.35", "1.35", "outside 0 to 1"),
    ],
)
def test_a_wrong_table_is_refused_in_a_sentence(exported, read, old, new, said):
    text = answers_csv(exported[2])
    assert old in text
    with pytest.raises(CSpineError, match=said):
        read(text.replace(old, new, 1))


def test_an_answer_that_stands_twice_is_refused(exported, read):
    text = answers_csv(exported[2])
    with pytest.raises(ReaderStudyError, match="repeats"):
        read(text + text.splitlines()[1] + "\n")


def test_a_study_with_two_truths_is_refused(exported, read):
    first, *rest = exported[2]
    lines = answers_csv([first, *rest]).splitlines()
    row = lines[1].split(",")
    row[0], row[4] = "7", "C1"
    with pytest.raises(ReaderStudyError, match="two truths"):
        read("\n".join([*lines, ",".join(row)]))


def test_an_empty_table_has_no_answers(read):
    assert read(answers_csv([])) == ()
