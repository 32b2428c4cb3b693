from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest

from core.cache.entries import fetch_entry
from core.errors import StorageError
from core.system.disk_space import check_quota, check_space, tree_bytes
from core.types import Store

GIB = 1 << 30


class Usage(NamedTuple):
    """As `shutil.disk_usage` gives it, in bytes."""

    total: int
    used: int
    free: int


@pytest.fixture
def disk(monkeypatch):
    """A disk with 3 GiB free."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(9 * GIB, 6 * GIB, 3 * GIB))


def test_what_leaves_the_reserve_free_fits_and_one_byte_more_does_not(disk, tmp_path):
    check_space(tmp_path / "not" / "there" / "yet", 2 * GIB, GIB)
    with pytest.raises(StorageError, match=r"3\.00 GiB free and keeps 1 GiB"):
        check_space(tmp_path, 2 * GIB + 1, GIB)


def test_the_store_asks_before_it_writes(disk, tmp_path):
    store = Store(tmp_path, limit_bytes=9 * GIB, keep_free_bytes=3 * GIB)
    with pytest.raises(StorageError, match="MIN_FREE_GIB"):
        fetch_entry(store, "volumes", "ab" * 32, lambda: ({"hu": np.zeros(9)}, {}))
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".npy"]


def test_the_quota_counts_what_all_sessions_keep(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.dcm").write_bytes(bytes(600))
    (tmp_path / "two.zip").write_bytes(bytes(400))
    assert tree_bytes(tmp_path) == 1000
    check_quota(tmp_path, 1000, 2000 / GIB)
    with pytest.raises(StorageError, match="UPLOAD_QUOTA_GIB"):
        check_quota(tmp_path, 1001, 2000 / GIB)
    assert tree_bytes(tmp_path / "none") == 0


def test_folders_may_vanish_while_they_are_counted(tmp_path):
    (tmp_path / "stays").write_bytes(bytes(100))
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for number in range(20):
                (tmp_path / f"{number}" / "in").mkdir(parents=True, exist_ok=True)
            for number in range(20):
                shutil.rmtree(tmp_path / f"{number}")

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(come_and_go)
        try:
            assert {tree_bytes(tmp_path) for _ in range(300)} == {100}
        finally:
            ended.set()
        work.result()
