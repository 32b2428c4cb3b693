"""`reader-study` prints what the page shows, and one sentence where it cannot."""

from __future__ import annotations

import json

import pytest

from core.reader_study.answers import answers_csv
from tests.core.cli.outcome import assert_one_sentence
from tests.core.reader_study.made_study import answer, cases


@pytest.fixture
def export(tmp_path):
    made = [answer(reader, case, 5 - reader) for reader in (1, 2) for case in cases(2, 2)]
    path = tmp_path / "answers.csv"
    path.write_text(answers_csv(made), encoding="utf-8")
    return path


def test_an_export_is_analysed(run, export):
    status, out, errors = run("reader-study", export)
    assert (status, errors) == (0, "")
    assert "2 readers, 4 cases (2 fractured), 8 answers" in out
    _, out, _ = run("reader-study", export, "--json")
    assert json.loads(out)["n_answers"] == 8


def test_anything_else_is_refused(run, tmp_path, export):
    empty, binary = tmp_path / "empty.csv", tmp_path / "binary.csv"
    empty.write_text(answers_csv([]))
    binary.write_bytes(bytes(range(256)))
    for path in (empty, binary, tmp_path, tmp_path / "none.csv"):
        assert_one_sentence(run("reader-study", path))
