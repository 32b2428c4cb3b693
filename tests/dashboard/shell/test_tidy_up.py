"""A server that starts sweeps what killed ones left in cache, uploads and runs."""

from __future__ import annotations

import os
import time

from core.config import Settings
from dashboard.shell.startup import tidy_up


def test_leftovers_go_from_everywhere_and_the_rest_stays(tmp_path):
    settings = Settings(cspine_var=tmp_path / "var", rsna_cache=tmp_path / "cache")
    shard = settings.rsna_cache / "volumes" / "ab"
    left = [
        settings.rsna_cache / ".store.bytes.abcdefgh.bytes",
        settings.cspine_var / "uploads" / "s" / "derived" / ".slices.parquet.abcdefgh.parquet",
        settings.runs_root / "one" / ".last.ckpt.abcdefgh.ckpt",
        shard / ".building-x1" / "hu.npy",
        settings.runs_root / ".deleted-one-1" / "last.ckpt",
    ]
    kept = [
        settings.rsna_cache / "store.bytes",
        settings.runs_root / "one" / "last.ckpt",
        settings.cspine_var / "demo" / ".train.csv.abcdefgh.csv",
        shard / "abcd" / "hu.npy",
        settings.runs_root / f".deleted-two-{time.time_ns()}" / "last.ckpt",
    ]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (0, 0))
    assert tidy_up(settings) == 3
    assert [path for path in left if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []
