import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cache.entries import fetch_entry
from core.cache.eviction import KINDS
from tests.stores import made_store

PAYLOAD = 20_000


def _fetch(cache_dir, name, limit, *, payload=PAYLOAD, kind="slices"):
    def build():
        return {"images": np.full(payload, ord(name), np.uint8)}, {}

    return fetch_entry(made_store(cache_dir, limit_bytes=limit), kind, name * 64, build)


def _names(cache_dir):
    return {file.parent.name[0] for file in cache_dir.rglob("entry.json")}


@pytest.fixture(scope="module")
def size(tmp_path_factory):
    """Bytes of one entry."""
    return _fetch(tmp_path_factory.mktemp("size"), "a", 1 << 30).bytes


def test_the_least_recently_used_entry_goes_first(tmp_path, size):
    limit = 3 * size
    for name in "abc":
        _fetch(tmp_path, name, limit)
    _fetch(tmp_path, "a", limit)
    _fetch(tmp_path, "d", limit)
    # Down to nine tenths of the limit: two entries.
    assert _names(tmp_path) == {"a", "d"}


def test_nothing_goes_while_the_limit_is_kept(tmp_path, size):
    for name in "abc":
        _fetch(tmp_path, name, 3 * size)
    assert _names(tmp_path) == set("abc")


def test_an_entry_just_built_stays_even_if_it_is_larger_than_the_store(tmp_path):
    for name in "abc":
        entry = _fetch(tmp_path, name, 100)
        assert entry.arrays["images"][0] == ord(name)
        assert _names(tmp_path) == {name}


def test_arrays_held_open_can_be_read_after_their_eviction(tmp_path, size):
    held = _fetch(tmp_path, "a", size).arrays["images"]
    _fetch(tmp_path, "b", size)
    assert _names(tmp_path) == {"b"}
    assert (np.array(held) == ord("a")).all()


def test_all_kinds_of_entries_share_the_limit(tmp_path, size):
    for name, kind in zip("abc", KINDS, strict=True):
        _fetch(tmp_path, name, 2 * size, kind=kind)
    assert _names(tmp_path) == {"c"}


@pytest.mark.parametrize("ledger", [None, "", "nonsense", "0", "99999999999"])
def test_a_wrong_ledger_puts_itself_right(tmp_path, size, ledger):
    limit = 3 * size
    for name in "abc":
        _fetch(tmp_path, name, limit)
    file = tmp_path / "store.bytes"
    file.unlink() if ledger is None else file.write_text(ledger)
    for name in "def0":
        _fetch(tmp_path, name, limit)
    assert len(_names(tmp_path)) * size <= limit + (3 * size if ledger == "0" else 0)
    for name in "123456":
        _fetch(tmp_path, name, limit)
    assert len(_names(tmp_path)) * size <= limit


def test_leftovers_of_killed_processes_go_with_an_eviction(tmp_path, size):
    for pattern in (".building-x", ".evicted-x"):
        (tmp_path / "slices" / "ee" / pattern).mkdir(parents=True)
    for name in "ab":
        _fetch(tmp_path, name, size)
    assert not list(tmp_path.rglob(".building-*"))
    assert not list(tmp_path.rglob(".evicted-*"))


class Model:
    """What the store should hold: names in the order of their last use, with their sizes."""

    def __init__(self, limit):
        self.limit, self.entries = limit, {}

    def use(self, name, size):
        known = self.entries.pop(name, None)
        if known is None and sum(self.entries.values()) + size > self.limit:
            while self.entries and sum(self.entries.values()) + size > 0.9 * self.limit:
                del self.entries[next(iter(self.entries))]
        self.entries[name] = known or size


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(1_000, 9_000)), min_size=1, max_size=20
    )
)
def test_any_sequence_of_uses_leaves_what_a_model_of_the_store_holds(uses):
    folder = Path(tempfile.mkdtemp())
    try:
        model = Model(20_000)
        for name, payload in uses:
            entry = _fetch(folder, name, model.limit, payload=payload)
            model.use(name, entry.bytes)
            assert _names(folder) == set(model.entries)
    finally:
        shutil.rmtree(folder)
