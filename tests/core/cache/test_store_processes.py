"""The store under several processes at once, for real."""

import os
import signal
import time

import numpy as np
import pytest

from core.cache.entries import fetch_entry
from tests import forked
from tests.stores import made_store

pytestmark = pytest.mark.slow

KEYS = [f"{number % 4:02x}{number:062x}" for number in range(10)]
SIDE = 64


def _value(key):
    return int(key[2:], 16) + 1


def _build(key, log):
    with log.open("a") as stream:
        stream.write(f"{key}\n")
    return {"images": np.full((5, SIDE, SIDE), _value(key), np.uint8)}, {"value": _value(key)}


def _walk(cache_dir, log, limit, seed, rounds):
    """Fetch all keys in random order, several times over, holding the last few open."""
    rng = np.random.default_rng(seed)
    held = []
    for _ in range(rounds):
        for index in rng.permutation(len(KEYS)):
            key = KEYS[index]
            store = made_store(cache_dir, limit_bytes=limit)
            entry = fetch_entry(store, "slices", key, lambda key=key: _build(key, log))
            held = [*held[-3:], (key, entry)]
            for name, one in held:
                if not (one.arrays["images"] == _value(name)).all():
                    raise SystemExit(f"{name} holds something else")
                if one.values["value"] != _value(name):
                    raise SystemExit(f"{name} has other values")


def _race(cache_dir, log, limit, rounds):
    running = [
        forked.start(_walk, cache_dir, log, limit, seed, rounds, log=log.with_suffix(f".{seed}"))
        for seed in range(3)
    ]
    return [forked.finish(process) for process in running]


def _held_bytes(cache_dir):
    entries = [file.parent for file in cache_dir.rglob("entry.json")]
    return sum(file.stat().st_size for entry in entries for file in entry.iterdir())


def test_processes_that_miss_the_same_entries_build_each_once(tmp_path):
    log = tmp_path / "log"
    assert _race(tmp_path / "cache", log, 1 << 30, 2) == [0, 0, 0]
    assert sorted(log.read_text().split()) == sorted(KEYS)
    assert int((tmp_path / "cache" / "store.bytes").read_text()) == _held_bytes(tmp_path / "cache")


def test_processes_that_evict_each_others_entries_always_read_whole_ones(tmp_path):
    log = tmp_path / "log"
    entry_bytes = 5 * SIDE * SIDE
    assert _race(tmp_path / "cache", log, 4 * entry_bytes, 3) == [0, 0, 0]
    assert len(log.read_text().split()) > len(KEYS)
    assert _held_bytes(tmp_path / "cache") <= 4 * entry_bytes
    assert not list((tmp_path / "cache").rglob(".building-*"))


def _build_for_ever(cache_dir, key, started):
    def build():
        started.touch()
        time.sleep(60)
        raise AssertionError

    fetch_entry(made_store(cache_dir), "slices", key, build)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL")
def test_a_builder_that_is_killed_does_not_lock_the_others_out(tmp_path):
    started = tmp_path / "started"
    cache_dir = tmp_path / "cache"
    process = forked.start(_build_for_ever, cache_dir, KEYS[0], started, log=tmp_path / "log")
    while not started.exists():
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    log = tmp_path / "log"
    store = made_store(tmp_path / "cache")
    entry = fetch_entry(store, "slices", KEYS[0], lambda: _build(KEYS[0], log))
    assert entry.built
