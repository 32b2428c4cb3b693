"""Short names: every shipped bundle has its own; any other keeps its name."""

from __future__ import annotations

from core.config import PROJECT_ROOT
from core.models.bundles import list_bundles
from core.models.names import SHORT_NAMES, full_name, short_name


def test_every_shipped_bundle_has_a_short_name_of_its_own():
    names = [bundle.config.name for bundle in list_bundles(PROJECT_ROOT / "checkpoints")]
    assert set(names) <= set(SHORT_NAMES)
    short = [short_name(name) for name in names]
    assert len(set(short)) == len(short)
    assert max(map(len, short)) <= 12


def test_another_bundle_keeps_its_name():
    assert short_name("mine") == full_name("mine") == "mine"
    assert full_name("fracture_type1") == "Type 1 (fracture_type1)"
