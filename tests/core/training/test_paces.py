"""A measured pace is kept and found again."""

from __future__ import annotations

from core.training.paces import FILE, KEPT, keep_pace, read_paces
from core.training.schedule import Pace


def test_the_latest_pace_of_a_network_replaces_the_earlier_one(tmp_path):
    for speed in (1.0, 2.0):
        keep_pace(tmp_path, Pace("googlenet", 64, "32-true", speed))
    keep_pace(tmp_path, Pace("googlenet", 128, "32-true", 3.0))
    assert [(p.size, p.images_per_second) for p in read_paces(tmp_path)] == [(128, 3.0), (64, 2.0)]


def test_a_missing_or_broken_list_is_an_empty_one_and_it_does_not_grow_for_ever(tmp_path):
    assert read_paces(tmp_path) == []
    (tmp_path / FILE).write_text("[{")
    assert read_paces(tmp_path) == []
    for size in range(KEPT + 3):
        keep_pace(tmp_path, Pace("googlenet", size, "32-true", 1.0))
    assert len(read_paces(tmp_path)) == KEPT
