import contextlib
import functools
import json
import mmap
import os
import re
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.cache import entries
from core.cache.entries import fetch_entry
from core.cache.eviction import locked
from core.errors import DicomSeriesError, StorageError
from tests.stores import made_store

KEY = "ab" + "0" * 62
_KEYS = {"there": KEY, "missing": "cd" + "0" * 62}


class Builder:
    """Builds the same entry each time and counts."""

    def __init__(self, value=7):
        self.value = value
        self.calls = 0

    def __call__(self):
        self.calls += 1
        images = np.full((3, 4, 4), self.value, np.uint8)
        return {"images": images, "z_mm": np.array([2.0, 1.0, 0.0])}, {"thickness_mm": None}


def _fetch(cache_dir, build, key=KEY):
    return fetch_entry(made_store(cache_dir), "slices", key, build)


def _folder(cache_dir, key=KEY):
    return cache_dir / "slices" / key[:2] / key


def test_is_built_once_and_opened_after(tmp_path):
    build = Builder()
    first, second = (_fetch(tmp_path, build) for _ in range(2))
    assert (first.built, second.built, build.calls) == (True, False, 1)
    assert first.bytes == second.bytes > 3 * 4 * 4
    np.testing.assert_array_equal(second.arrays["images"], np.full((3, 4, 4), 7))
    assert second.values == {"thickness_mm": None}


def test_arrays_are_mapped_and_read_only(tmp_path):
    images = _fetch(tmp_path, Builder()).arrays["images"]
    base = images
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def _truncate(folder):
    file = folder / "images.npy"
    file.write_bytes(file.read_bytes()[:-1])


def _other_shape(folder):
    np.save(folder / "images.npy", np.zeros((3, 4, 5), np.uint8))


def _other_type(folder):
    np.save(folder / "images.npy", np.zeros((3, 4, 4), np.int8))


DAMAGES = {
    "truncated array": _truncate,
    "array missing": lambda folder: (folder / "z_mm.npy").unlink(),
    "array empty": lambda folder: (folder / "z_mm.npy").write_bytes(b""),
    "array of zeros": lambda folder: (folder / "images.npy").write_bytes(bytes(176)),
    "array of another shape": _other_shape,
    "array of another type": _other_type,
    "list missing": lambda folder: (folder / "entry.json").unlink(),
    "list empty": lambda folder: (folder / "entry.json").write_bytes(b""),
    "list of another kind": lambda folder: (folder / "entry.json").write_text("[1, 2]"),
    "list names no arrays": lambda folder: (folder / "entry.json").write_text('{"values": {}}'),
    "list is not text": lambda folder: (folder / "entry.json").write_bytes(b"\xff\xfe\x00"),
    "empty folder": lambda folder: [file.unlink() for file in folder.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_entry_is_built_again(tmp_path, damage):
    build = Builder()
    _fetch(tmp_path, build)
    damage(_folder(tmp_path))
    again = _fetch(tmp_path, build)
    assert again.built
    np.testing.assert_array_equal(again.arrays["images"], np.full((3, 4, 4), 7))
    assert not _fetch(tmp_path, build).built


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 127), value=st.integers(0, 255), name=st.sampled_from(["images", "z_mm"]))
def test_a_changed_header_byte_never_breaks_a_call(tmp_path, at, value, name):
    build = Builder()
    _fetch(tmp_path, build)
    file = _folder(tmp_path) / f"{name}.npy"
    content = bytearray(file.read_bytes())
    content[at] = value
    file.write_bytes(content)
    entry = _fetch(tmp_path, build)
    assert entry.arrays["images"].shape == (3, 4, 4)
    assert entry.arrays["z_mm"].dtype == np.float64


def test_error_while_building_passes_through_and_leaves_nothing(tmp_path):
    def fails():
        raise DicomSeriesError(tmp_path, "is torn", "copy it again")

    with pytest.raises(DicomSeriesError, match="is torn"):
        _fetch(tmp_path, fails)
    assert not list(tmp_path.rglob("*.npy"))
    assert _fetch(tmp_path, Builder()).built


def test_full_disk_leaves_nothing_and_is_named(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(entries.os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left.*RSNA_CACHE"):
        _fetch(tmp_path, Builder())
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.npy"))
    assert _fetch(tmp_path, Builder()).built


def test_disk_that_cannot_be_read_is_named_and_nothing_is_deleted(tmp_path, monkeypatch):
    _fetch(tmp_path, Builder())

    def broken(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(entries, "open_memmap", broken)
    with pytest.raises(StorageError, match=r"cannot be read: Input/output error"):
        _fetch(tmp_path, Builder())
    monkeypatch.undo()
    assert not _fetch(tmp_path, Builder()).built


def test_what_a_killed_process_left_is_cleared_by_the_next_builder(tmp_path):
    leftover = _folder(tmp_path).parent / ".building-killed"
    leftover.mkdir(parents=True)
    (leftover / "images.npy").write_bytes(b"half")
    _fetch(tmp_path, Builder())
    assert not leftover.exists()


@pytest.fixture
def few_open_files():
    """A limit of 80 more open files than other tests have left, given back afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_open_files() + 80, hard))
    entries._allow_more_open_files.cache_clear()
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_entries_may_be_held_than_files_could_be_open(tmp_path, few_open_files):
    held = [_fetch(tmp_path, Builder(), key=f"{number:064x}") for number in range(60)]
    assert all(entry.built for entry in held)


@pytest.mark.parametrize("key", ["missing", "there"])
def test_too_many_open_files_names_the_remedy(tmp_path, few_open_files, monkeypatch, key):
    monkeypatch.setattr(entries, "_allow_more_open_files", lambda: None)
    _fetch(tmp_path, Builder(), key=_KEYS["there"])
    wanted = functools.partial(_fetch, tmp_path, Builder(), key=_KEYS[key])
    refused, opened, message = 0, None, ""
    # Whichever step is the one that finds no file left, from the first to the last of them.
    while opened is None:
        with _only_free(refused):
            try:
                opened = wanted()
            except StorageError as error:
                message = str(error)
            left = _free_files()
        if opened is None:
            assert re.search(r"Too many open files; .*`ulimit -n`", message), (refused, message)
            assert left == refused
            refused += 1
    assert 2 <= refused <= 10
    np.testing.assert_array_equal(opened.arrays["images"], np.full((3, 4, 4), 7))


@contextlib.contextmanager
def _only_free(count):
    """Open files up to the limit, but for `count`."""
    with contextlib.ExitStack() as held:
        taken = [held.enter_context(Path(os.devnull).open()) for _ in range(_free_files())]
        for stream in taken[:count]:
            stream.close()
        yield


def _open_files():
    """How many files this process has open, by the largest number among them."""
    return max(int(path.name) for path in Path("/dev/fd").iterdir()) + 1


def _free_files():
    """How many more files this process may open."""
    count = 0
    with contextlib.ExitStack() as held, contextlib.suppress(OSError):
        while True:
            held.enter_context(Path(os.devnull).open())
            count += 1
    return count


def test_an_entry_gets_its_place_only_under_the_lock_of_the_store(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        with locked(tmp_path, "store"):
            fetched = pool.submit(_fetch, tmp_path, Builder())
            with pytest.raises(TimeoutError):
                fetched.result(timeout=0.3)
            assert not _folder(tmp_path).exists()
        assert fetched.result(timeout=30).built


def test_entry_json_lists_its_contents(tmp_path):
    _fetch(tmp_path, Builder())
    content = json.loads((_folder(tmp_path) / "entry.json").read_text())
    assert content["arrays"] == [["images", ["|u1", [3, 4, 4]]], ["z_mm", ["<f8", [3]]]]
