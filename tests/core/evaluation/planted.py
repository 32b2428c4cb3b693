"""Made cohorts for tests of subgroups: random facts, and labels that are corrupted in one group."""

from __future__ import annotations

import numpy as np

from core.evaluation.subgroups import Calls
from core.evaluation.tables.attributes import Attribute, from_names
from core.evaluation.tables.evaluation_set import LevelItems

COLUMNS = ("site", "kernel", "pad", "hour")


def facts(rng: np.random.Generator, n: int) -> list[Attribute]:
    """Four facts with four groups each, of chance."""
    return [
        from_names(name, name.title(), "added", [f"{name} {v}" for v in rng.integers(0, 4, n)])
        for name in COLUMNS
    ]


def patients(
    seed: int, n: int = 400, *, corrupted: tuple[tuple[str, str], ...] = (), share: float = 0.35
) -> tuple[Calls, list[Attribute]]:
    """Calls on one item per patient; labels of the corrupted part are turned with `share`."""
    rng = np.random.default_rng(seed)
    attributes = facts(rng, n)
    truth = rng.random(n) < 0.4
    scores = np.clip(rng.normal(np.where(truth, 0.68, 0.32), 0.2), 0, 1)
    part = np.zeros(n, bool)
    if corrupted:
        part[:] = True
        for key, group in corrupted:
            attribute = next(one for one in attributes if one.key == key)
            part &= attribute.members[:, attribute.place(group)]
    truth ^= part & (rng.random(n) < share)
    return Calls(level_items(scores, truth), scores >= 0.5, by_vertebra=False), attributes


def level_items(
    scores: np.ndarray, truth: np.ndarray, owners: np.ndarray | None = None
) -> LevelItems:
    n = len(scores)
    return LevelItems(
        np.asarray(scores, float), np.asarray(truth, bool),
        np.arange(n) if owners is None else np.asarray(owners),
        np.full(n, -1, np.int8), np.full(n, -1, np.int32),
    )  # fmt: skip
