"""A write leaves the old file or the new one."""

import errno
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from core.errors import StorageError
from core.system import atomic_files


def test_a_failed_write_keeps_the_old_file_and_leaves_no_litter(tmp_path):
    target = tmp_path / "metrics.json"
    atomic_files.write_json(target, {"auc": 0.9})

    def write_half():
        with atomic_files.atomic_path(target) as path:
            path.write_text("{ half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_half()
    assert json.loads(target.read_text()) == {"auc": 0.9}
    assert list(tmp_path.iterdir()) == [target]


def test_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        atomic_files.write_json(tmp_path / "x.json", {"auc": math.nan})
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_for_a_file(tmp_path):
    target = tmp_path / "a" / "b" / "note.txt"
    atomic_files.write_text(target, "größer")
    assert target.read_text(encoding="utf-8") == "größer"


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose a folder you can write to"):
        atomic_files.write_text(tmp_path / "file" / "below", "x")


def test_disk_full_is_a_typed_error_and_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    atomic_files.write_text(target, "old")

    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files.os, "fsync", no_space)
    with pytest.raises(StorageError, match="No space left on device"):
        atomic_files.write_text(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


WRITE = """
import sys, time
from pathlib import Path
from core.system import atomic_files
with atomic_files.atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print(temporary, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writing(repo_root, tmp_path):
    """A process in the midst of a write."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path / "a" / "x.json")], cwd=repo_root, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield process
        process.kill()


def made_old(path):
    """As after hours, or after the clock has jumped ahead."""
    long_ago = time.time() - 7200
    os.utime(path, (long_ago, long_ago))
    return path


def test_what_a_killed_write_left_is_swept_and_a_living_one_is_not(writing, tmp_path):
    temporary = type(tmp_path)(writing.stdout.readline().strip())
    made_old(temporary)
    assert atomic_files.sweep_leftovers(tmp_path) == 0
    assert temporary.exists()
    writing.send_signal(signal.SIGKILL)
    writing.wait()
    assert atomic_files.sweep_leftovers(tmp_path) == 1
    assert list((tmp_path / "a").iterdir()) == []


def test_a_leftover_that_is_young_is_let_be(writing, tmp_path):
    temporary = type(tmp_path)(writing.stdout.readline().strip())
    writing.send_signal(signal.SIGKILL)
    writing.wait()
    assert atomic_files.sweep_leftovers(tmp_path) == 0
    assert atomic_files.sweep_leftovers(tmp_path, older_than_s=0) == 1
    assert not temporary.exists()


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        (".metrics.json.abc12_x9.json", True),
        (".store.abcdefgh", True),
        (".0000-1.json.abcdefgh.json", True),
        ("metrics.json.abcdefgh.json", False),  # not hidden
        (".metrics.json", False),
        (".metrics.json.abcdefgh.yaml", False),  # another ending than its target
        (".metrics.json.ABCDEFGH.json", False),
        (".gitignore", False),
        (".DS_Store", False),
    ],
)
def test_only_names_that_a_write_gives_are_swept(tmp_path, name, ours):
    made_old_file = tmp_path / name
    made_old_file.write_text("x")
    made_old(made_old_file)
    assert atomic_files.is_temporary(name) is ours
    assert atomic_files.sweep_leftovers(tmp_path) == int(ours)


def test_every_temporary_file_has_such_a_name(tmp_path):
    for name in ("status.json", "last.ckpt", "store", "a.nii.gz", ".hidden", "a.b.c"):
        with atomic_files.atomic_path(tmp_path / name) as temporary:
            assert atomic_files.is_temporary(temporary.name), temporary.name


def test_a_sweep_follows_no_link_and_needs_no_folder(tmp_path):
    outside = tmp_path / "outside" / ".x.json.abcdefgh.json"
    outside.parent.mkdir()
    outside.write_text("x")
    made_old(outside)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "folder").symlink_to(outside.parent, target_is_directory=True)
    (inside / ".y.json.abcdefgh.json").symlink_to(outside)
    os.utime(inside / ".y.json.abcdefgh.json", (0, 0), follow_symlinks=False)
    assert atomic_files.sweep_leftovers(inside) == 0
    assert outside.exists()
    assert atomic_files.sweep_leftovers(tmp_path / "none") == 0


@pytest.fixture
def umask():
    """Set the umask of this process; restored afterwards."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_the_umask_decides_who_may_read(tmp_path, umask, mask):
    umask(mask)
    atomic_files.write_text(tmp_path / "note.txt", "x")
    assert (tmp_path / "note.txt").stat().st_mode & 0o777 == 0o666 & ~mask
    made = atomic_files.temporary_folder(tmp_path, ".made-")
    assert made.stat().st_mode & 0o777 == 0o777 & ~mask
    with atomic_files.hidden_folder(tmp_path, "x") as hidden:
        assert hidden.stat().st_mode & 0o777 == 0o777 & ~mask


def test_a_new_name_is_on_the_disk_before_the_write_returns(tmp_path, monkeypatch):
    """The folder is synchronised after the rename: else a power cut may undo it."""
    done = []
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        done.append(kind)
        fsync(handle)

    monkeypatch.setattr(atomic_files.os, "fsync", synced)
    monkeypatch.setattr(
        type(tmp_path), "replace", lambda a, b: (done.append("rename"), replace(a, b))
    )
    atomic_files.write_text(tmp_path / "a.txt", "x")
    assert done == ["file", "rename", "folder"]
    with atomic_files.hidden_folder(tmp_path, "b") as hidden:
        atomic_files.move_into_place(hidden, tmp_path / "b")
    assert done[3:] == ["rename", "folder"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b"]


def test_a_folder_without_fsync_is_written_all_the_same(tmp_path, monkeypatch):
    fsync = os.fsync

    def refused(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(atomic_files.os, "fsync", refused)
    atomic_files.write_text(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").read_text() == "x"


HIDE = """
import sys
from pathlib import Path
from core.system import atomic_files
with atomic_files.hidden_folder(Path(sys.argv[1]), "1.2.3") as folder:
    (folder / "slices.parquet").write_text("half")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_hidden_folder_of_a_killed_process_is_swept_and_a_living_one_is_not(repo_root, tmp_path):
    command = [sys.executable, "-c", HIDE, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=repo_root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        folder = made_old(type(tmp_path)(process.stdout.readline().strip()))
        assert atomic_files.sweep_leftovers(tmp_path) == 0
        process.kill()
    assert (folder / "slices.parquet").exists()
    made_old(folder)
    assert atomic_files.sweep_leftovers(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
