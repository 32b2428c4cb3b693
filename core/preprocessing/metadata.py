"""Metadata of a slice that a Type 2 vertebra model uses besides its pixels."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

N_METADATA: Final = 3
POSITION_SCALE_MM: Final = 100.0
"""About half the length of a cervical scan: positions are then within about [-1, 1]."""
THICKNESS_SCALE_MM: Final = 5.0
"""The thickest slices in use: thicknesses are then within about [0, 1]."""


def slice_metadata(z_mm: ArrayLike, thickness_mm: float | None) -> NDArray[np.float32]:
    """Describe every slice of a study by its place in the series and its thickness.

    Args:
        z_mm: (n,), positions along the slice normal in mm, in slice order (0 the most cranial).
        thickness_mm: Slice thickness in mm; None, NaN or anything not above 0 counts as unknown.

    Returns:
        float32 (n, 3): slice ratio i / (n - 1), 0.5 for a single slice; position
        (z_i - (max z + min z) / 2) / 100 mm, positive towards the head; thickness / 5 mm, 0 where
        it is unknown.

    Raises:
        ValueError: `z_mm` is not one finite number per slice.
    """
    z = np.asarray(z_mm, dtype=np.float64)
    if z.ndim != 1 or not bool(np.all(np.isfinite(z))):
        raise ValueError(f"z_mm needs one finite number per slice, but has shape {z.shape} or NaN.")
    n = len(z)
    found = np.zeros((n, N_METADATA), dtype=np.float32)
    if n == 0:
        return found
    found[:, 0] = 0.5 if n == 1 else np.arange(n) / (n - 1)
    found[:, 1] = (z - (z.max() + z.min()) / 2) / POSITION_SCALE_MM
    known = thickness_mm is not None and math.isfinite(thickness_mm) and thickness_mm > 0
    found[:, 2] = thickness_mm / THICKNESS_SCALE_MM if known and thickness_mm else 0.0
    return found
