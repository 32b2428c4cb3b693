from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.background.traffic import Places, Rate, address_key


def test_places_are_counted_per_address_and_in_all_and_given_back():
    places = Places(3, 2)
    assert [places.take("a") for _ in range(3)] == [None, None, "own"]
    assert [places.take("b"), places.take("b")] == [None, "all"]
    places.free("a")
    assert places.refusal("a") is None
    assert places.take("b") is None
    assert places.refusal("c") == "all"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=200))
def test_places_agree_with_a_list_of_holders(steps):
    """Independent oracle: the list of the addresses that hold a place."""
    places, held = Places(5, 3), []
    for address, takes in steps:
        if takes:
            expected = "own" if held.count(address) >= 3 else "all" if len(held) >= 5 else None
            assert places.take(address) == expected
            if expected is None:
                held.append(address)
        elif address in held:
            held.remove(address)
            places.free(address)


def test_a_rate_lets_a_burst_pass_and_then_its_average():
    now = [0.0]
    rate = Rate(10, 20, lambda: now[0])
    assert [rate.wait_s("a") for _ in range(21)] == [0] * 20 + [1]
    assert rate.wait_s("b") == 0
    passed = 0
    for step in range(1, 1001):
        now[0] = step / 100
        passed += rate.wait_s("a") == 0
    assert passed == pytest.approx(100, abs=1)
    now[0] += 100
    assert [rate.wait_s("a") for _ in range(21)] == [0] * 20 + [1]


def test_a_slow_rate_says_after_how_many_seconds_one_passes():
    now = [0.0]
    rate = Rate(0.1, 1, lambda: now[0])
    assert [rate.wait_s("a"), rate.wait_s("a")] == [0, 10]
    now[0] = 9.9
    assert rate.wait_s("a") == 1
    now[0] = 10.1
    assert rate.wait_s("a") == 0


def test_addresses_that_come_and_go_are_not_kept(monkeypatch):
    rate = Rate(1, 1, lambda: 0.0)
    for number in range(12_000):
        rate.wait_s(str(number))
    assert len(rate._left) <= 10_000


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_a_home_with_ipv6_counts_as_one_address(host, key):
    assert address_key(host) == key
