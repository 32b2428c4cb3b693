"""Which files a folder holds, for everyone who asks."""

from __future__ import annotations

import os

import pytest

from core.system import file_tree
from core.system.file_tree import files_below, path_below


def names(folder):
    return [path_below(path, folder) for path in files_below(folder)]


def test_files_of_all_sub_folders_in_order_of_their_paths(tmp_path):
    seen = ("b.dcm", "a/2.dcm", "a/10.dcm", "c/d/e/1")
    for name in (*seen, ".hidden", ".git/config", "a/.DS_Store"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    assert names(tmp_path) == ["a/10.dcm", "a/2.dcm", "b.dcm", "c/d/e/1"]


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "1").touch()
    (tmp_path / "s" / "loop").symlink_to(tmp_path / "s")
    (tmp_path / "s" / "file").symlink_to(tmp_path / "s" / "1")
    (tmp_path / "s" / "gone").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path / "s") == ["1", "file"]
    (tmp_path / "link").symlink_to(tmp_path / "s")
    assert names(tmp_path / "link") == ["1", "file"]


def test_an_entry_that_cannot_be_looked_at_is_listed(tmp_path):
    (tmp_path / "long").symlink_to("a" * 300)
    assert names(tmp_path) == ["long"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_sub_folder_is_listed_like_a_file(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    assert names(tmp_path) == ["closed"]


def test_no_more_than_the_limit_and_one_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(file_tree, "MAX_LISTED", 3)
    for k in range(6):
        (tmp_path / str(k)).touch()
    assert len(files_below(tmp_path)) == 4


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_folder_that_is_none_is_an_os_error(tmp_path, kind):
    if kind == "file":
        (tmp_path / kind).touch()
    with pytest.raises(OSError, match=kind):
        files_below(tmp_path / kind)
