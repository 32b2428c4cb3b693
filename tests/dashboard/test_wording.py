from __future__ import annotations

import pytest

from dashboard.wording import ago, duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s"), (0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (61, "1 min 1 s"),
        (599, "9 min 59 s"), (3599, "59 min"), (3600, "1 h 0 min"), (7500, "2 h 5 min"),
        (200_000, "2 days 7 h"),
    ],
)  # fmt: skip
def test_a_time_span_is_said_in_its_two_largest_units(seconds, said):
    assert duration(seconds) == said


def test_the_past_is_said_as_past():
    assert (ago(1), ago(65)) == ("just now", "1 min 5 s ago")
