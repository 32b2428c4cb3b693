"""Discs with gas, with a calcified rim, or fused to both bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from core.phantom.sdf import Field

if TYPE_CHECKING:
    from core.phantom.anatomy import Anatomy
    from core.phantom.recipe import BoneMix

WORN: Final = 0.4
"""Wear of a disc from which it may hold gas or a calcified rim."""
HU_GAS, HU_RIM = -750.0, 480.0


def sample_discs(rng: np.random.Generator, wear: dict[str, float], mix: BoneMix) -> dict[str, str]:
    """Choose discs, by the level above, that hold gas or lime ("gas", "rim") or are "fused"."""
    looks: dict[str, str] = {}
    for name, worn in wear.items():
        chance = float(rng.uniform())
        if worn > WORN and chance < mix.vacuum:
            looks[name] = "gas"
        elif worn > WORN and chance < mix.vacuum + mix.calcified:
            looks[name] = "rim"
    if rng.uniform() < mix.fused:
        looks[str(rng.choice(("C2", "C3", "C4", "C5", "C6")))] = "fused"
    return looks


def altered(look: str, u: Field, a: Field, plan: Field, anatomy: Anatomy) -> tuple[Field, float]:
    """Share of each voxel that differs from a plain disc, and its HU.

    Args:
        look: "gas", "rim" or "fused".
        u: To the left in mm of the frame of the vertebra above.
        a: To the back, likewise.
        plan: Distance from the middle, 1 at the disc's edge.
        anatomy: The person.
    """
    if look == "gas":
        slit = np.cos(np.float32(0.55) * u + np.float32(1.3) * np.sin(np.float32(0.4) * a))
        return np.clip((np.float32(0.75) - plan) * 4, 0, 1) * np.clip(slit + 0.4, 0, 1), HU_GAS
    if look == "rim":
        return np.clip(1 - np.abs(plan - np.float32(0.92)) * 12, 0, 1), HU_RIM
    return np.clip((np.float32(1.02) - plan) * 6, 0, 1), anatomy.trabecular_hu + 60
