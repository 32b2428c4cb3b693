from __future__ import annotations

import pytest

from dashboard.background.pace import Pace


def paced(*steps):
    pace = Pace()
    for done, now in steps:
        pace.report(done, now)
    return pace


def test_an_even_pace_gives_the_exact_time_left():
    pace = paced((0, 100.0), (1, 102.0), (3, 106.0))
    assert pace.seconds_left(10, 106.0) == pytest.approx(14.0)


def test_one_slow_step_changes_the_estimate_by_its_weight():
    pace = paced((0, 0.0), (1, 2.0), (2, 12.0))
    assert pace.step_s == pytest.approx(0.75 * 2 + 0.25 * 10)


def test_stuck_work_never_counts_up_and_is_called_stalled():
    pace = paced((0, 0.0), (10, 20.0))
    left = [pace.seconds_left(100, 20.0 + waited) for waited in range(0, 600, 5)]
    assert left == sorted(left, reverse=True)
    assert left[0] == pytest.approx(180.0)
    assert left[-1] == pytest.approx(178.0)
    assert not pace.is_stalled(80.0)
    assert pace.is_stalled(81.0)
    slow = paced((0, 0.0), (1, 30.0))
    assert not slow.is_stalled(330.0)
    assert slow.is_stalled(331.0)


def test_nothing_is_known_before_the_first_step_and_in_another_count():
    assert paced((0, 5.0)).seconds_left(10, 9.0) is None
    assert not paced((0, 5.0)).is_stalled(1e6)
    assert paced((0, 0.0), (5, 5.0), (0, 6.0)).seconds_left(10, 7.0) is None
    assert Pace().seconds_left(10, 0.0) is None
