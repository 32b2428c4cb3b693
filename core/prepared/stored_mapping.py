"""How the files of a series lie in its volume, as an entry of the cache keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.cache.entries import CacheEntry
from core.dicom.box_mapping import BoxMapping
from core.types import AxisOrder, CTVolume


def mapping_values(volume: CTVolume) -> dict[str, Any]:
    """What an entry keeps besides its arrays: nothing where files and volume agree."""
    axes = volume.axes
    if axes.is_identity:
        return {}
    order = {"permutation": list(axes.permutation), "flips": list(axes.flips)}
    return {"axes": order, "shape": [int(edge) for edge in volume.hu.shape]}


def mapping_from(entry: CacheEntry) -> BoxMapping:
    """Give the mapping of a series from its entry, which may keep `shift_px` as an array."""
    shift = np.array(entry.arrays["shift_px"]) if "shift_px" in entry.arrays else None
    if "axes" not in entry.values:
        return BoxMapping(shift_px=shift)
    order = entry.values["axes"]
    z, y, x = entry.values["shape"]
    return BoxMapping(
        AxisOrder(tuple(order["permutation"]), tuple(order["flips"])), (z, y, x), shift
    )
