"""The quick subset of the fuzz cases; `make fuzz` plays them all."""

from __future__ import annotations

import pytest

from tests.robustness.families import FAMILIES
from tests.robustness.player import new_worker, play_all

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worker():
    made = new_worker()
    yield made
    made.close()


@pytest.mark.parametrize("name", list(FAMILIES))
def test_no_bad_input_crashes_hangs_or_is_read_wrongly_in_silence(name, worker):
    tally = play_all(FAMILIES[name], FAMILIES[name].quick, worker)
    assert tally.cases == len(FAMILIES[name].quick) > 0
    assert tally.failures == []
