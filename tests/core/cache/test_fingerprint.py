"""A folder's fingerprint follows the contents and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
