"""A slice network's fracture scores, combined with those of the whole study."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.inference.context import in_context
from core.inference.line_tracks import with_tracks
from core.models.bundles import BundleConfig

Probabilities = NDArray[np.float32]


def along_the_study(
    config: BundleConfig, fracture: Probabilities, presence: Probabilities
) -> Probabilities:
    """Combine a network's f_ij with the whole study as its bundle says, float32 (n, 7).

    Args:
        config: Config of the fracture network's bundle.
        fracture: float32 (n, 7), f_ij of single slices.
        presence: float32 (n, 7), v_ij.
    """
    shared = config.type == 1
    if config.track_weights is not None:
        return with_tracks(fracture, presence, config.track_weights, shared=shared)
    if config.context is not None:
        return in_context(fracture, presence, config.context, shared=shared)
    return fracture
