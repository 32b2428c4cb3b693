"""A folder's fingerprint follows the contents and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.cache import keys
from core.cache.keys import fingerprint_folder
from core.errors import DicomSeriesError


def filled(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def test_names_times_and_hidden_files_do_not_count(tmp_path):
    one = filled(tmp_path / "one", {f"{k}.dcm": bytes([k]) for k in range(12)})
    two = filled(tmp_path / "two", {f"{k}.dcm": bytes([11 - k]) for k in range(12)})
    (two / ".DS_Store").write_bytes(b"junk")
    (two / "folder").mkdir()
    os.utime(two / "3.dcm", (0, 0))
    assert fingerprint_folder(one) == fingerprint_folder(two)
    assert len(fingerprint_folder(one)) == 64


@pytest.mark.parametrize(
    "other", [{"a": b"1"}, {"a": b"1", "b": b"3"}, {"a": b"1", "b": b"2", "c": b"2"}, {"a": b"12"}]
)
def test_other_contents_give_another_fingerprint(tmp_path, other):
    one = filled(tmp_path / "one", {"a": b"1", "b": b"2"})
    two = filled(tmp_path / "two", other)
    assert fingerprint_folder(one) != fingerprint_folder(two)


def test_a_missing_folder_is_a_typed_error(tmp_path):
    with pytest.raises(DicomSeriesError):
        fingerprint_folder(tmp_path / "nowhere")


@pytest.fixture
def looks(monkeypatch):
    """Folders that are walked."""
    seen, real = [], keys.files_below
    monkeypatch.setattr(keys, "files_below", lambda path: (seen.append(path), real(path))[1])
    return seen


def test_a_folder_is_looked_at_once_in_a_walk_whatever_is_asked_of_it(tmp_path, looks):
    folders = [filled(tmp_path / name, {"1.dcm": name.encode()}) for name in ("a", "b")]
    plain = [
        keys.remembered_digest(folder, digest, tmp_path / "cache")
        for folder in folders
        for digest in (keys.fingerprint_folder, keys.named_folder_digest)
    ]
    looks.clear()
    with keys.one_walk() as digests:
        found = [
            keys.remembered_digest(folder, digest, tmp_path / "cache")
            for folder in folders
            for digest in (keys.fingerprint_folder, keys.named_folder_digest)
        ]
        for folder in folders:
            keys.remembered_digest(folder, keys.fingerprint_folder, tmp_path / "cache")
    assert found == plain
    assert looks == folders
    looks.clear()
    with keys.one_walk(json.loads(json.dumps(digests))):
        again = keys.remembered_digest(folders[0], keys.fingerprint_folder, tmp_path / "cache")
    assert (again, looks) == (plain[0], [])


def test_after_a_walk_a_changed_file_counts(tmp_path):
    folder = filled(tmp_path / "a", {"1.dcm": b"a"})
    with keys.one_walk():
        before = keys.remembered_digest(folder, keys.fingerprint_folder, tmp_path / "cache")
    (folder / "1.dcm").write_bytes(b"another content")
    after = keys.remembered_digest(folder, keys.fingerprint_folder, tmp_path / "cache")
    assert before != after
