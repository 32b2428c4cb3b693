from __future__ import annotations

import pytest

from core.config import RunConfig
from core.errors import TrainingError
from core.training.run_list import list_runs
from core.training.run_notes import NOTES_FILE, RunNotes, read_notes, tags_of, write_notes
from core.training.runs import RunFolder


def test_notes_are_read_as_written_and_are_those_of_the_run(tmp_path):
    config = RunConfig(task="fracture", backbone="googlenet", data_root="/d")
    RunFolder(tmp_path / "a").request(config)
    assert read_notes(tmp_path / "a") == RunNotes()
    notes = RunNotes(("baseline", "größer"), "Zeile 1\nZeile 2", archived=True)
    write_notes(tmp_path / "a", notes)
    assert read_notes(tmp_path / "a") == notes
    (run,) = list_runs(tmp_path)
    assert run.notes == notes


def test_tags_are_separated_by_commas_and_come_once():
    assert tags_of(" a  b, A B ,,c,") == ("a b", "c")
    assert tags_of("") == ()


def test_too_much_is_refused():
    with pytest.raises(TrainingError, match="at most 12 tags"):
        RunNotes(tuple(map(str, range(13))))
    with pytest.raises(TrainingError, match="of 40 characters"):
        RunNotes(("x" * 41,))
    with pytest.raises(TrainingError, match="at most 4,000 characters, not 4,001"):
        RunNotes(note="x" * 4001)


@pytest.mark.parametrize("content", ["{", "[]", '{"tags": 3, "note": "", "archived": false}'])
def test_a_damaged_file_is_a_problem_of_its_run_alone(tmp_path, content):
    config = RunConfig(task="fracture", backbone="googlenet", data_root="/d")
    for name in "ab":
        RunFolder(tmp_path / name).request(config)
    (tmp_path / "a" / NOTES_FILE).write_text(content)
    with pytest.raises(TrainingError, match=r"notes\.json cannot be read"):
        read_notes(tmp_path / "a")
    problems = {run.run_id: run.problem for run in list_runs(tmp_path)}
    assert "notes.json cannot be read" in problems["a"]
    assert problems["b"] == ""


def test_a_deleted_run_gets_no_notes(tmp_path):
    with pytest.raises(TrainingError, match="no run any more"):
        write_notes(tmp_path / "gone", RunNotes())
    assert not (tmp_path / "gone").exists()
