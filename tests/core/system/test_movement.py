"""Only what this process has seen counts."""

from __future__ import annotations

from core.system import movement
from core.system.movement import Movement


def test_a_value_is_still_since_it_was_first_seen_so(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(movement.time, "monotonic", lambda: now[0])
    seen = Movement()
    assert seen.seconds_still("a", 1) == 0
    now[0] = 130.0
    assert seen.seconds_still("a", 1) == 30
    assert seen.seconds_still("b", 1) == 0
    assert seen.seconds_still("a", 2) == 0
    now[0] = 131.5
    assert seen.seconds_still("a", 2) == 1.5


def test_what_was_looked_at_longest_ago_is_forgotten(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(movement.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(movement, "_MOST", 2)
    seen = Movement()
    for key in ("a", "b", "a", "c"):
        seen.seconds_still(key, 0)
    now[0] = 5.0
    assert [seen.seconds_still(key, 0) for key in ("a", "c", "b")] == [5.0, 5.0, 0.0]
