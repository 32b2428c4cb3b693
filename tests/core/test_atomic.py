"""A write leaves the old file or the new one."""

import json
import math

import pytest

from core import atomic
from core.errors import StorageError


def test_a_failed_write_keeps_the_old_file_and_leaves_no_litter(tmp_path):
    target = tmp_path / "metrics.json"
    atomic.write_json(target, {"auc": 0.9})

    def write_half():
        with atomic.atomic_path(target) as path:
            path.write_text("{ half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_half()
    assert json.loads(target.read_text()) == {"auc": 0.9}
    assert list(tmp_path.iterdir()) == [target]


def test_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "x.json", {"auc": math.nan})
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_the_file_is_readable_by_others(tmp_path):
    target = tmp_path / "a" / "b" / "note.txt"
    atomic.write_text(target, "größer")
    assert target.read_text(encoding="utf-8") == "größer"
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose a folder you can write to"):
        atomic.write_text(tmp_path / "file" / "below", "x")


def test_disk_full_is_a_typed_error_and_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    atomic.write_text(target, "old")

    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", no_space)
    with pytest.raises(StorageError, match="No space left on device"):
        atomic.write_text(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
