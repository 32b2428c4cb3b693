"""Fixtures shared by the tests of the dashboard, the pages and the browser."""

from __future__ import annotations

import pytest

from tests.dashboard.workplace import Workplace, write_bundles, write_cohort


@pytest.fixture(scope="session")
def workplace(tmp_path_factory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("workplace"))
    write_cohort(place.var / "demo")
    write_bundles(place.checkpoints)
    return place


@pytest.fixture
def at_work(workplace, monkeypatch) -> Workplace:
    """The environment points to the small workplace."""
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    for name, value in workplace.environment.items():
        monkeypatch.setenv(name, value)
    return workplace
