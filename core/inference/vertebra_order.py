"""Labels of vertebrae that keep to anatomy: one piece each, in order from the head down."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.constants import N_VERTEBRAE
from core.preprocessing.spine_grid import OTHER_VERTEBRA

LEAST_SHARE: Final = 0.1
"""A piece smaller than this share of the largest one is not kept."""
REACH: Final = 6
"""Planes between the middles of the largest piece and of another one of the same vertebra."""
LEAST_VOXELS: Final = 12
"""Fewer voxels are no vertebra: 0.1 mL at 2 mm."""
_CUBE: Final = np.ones((3, 3, 3), np.bool_)


def in_order(probs: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Remove what cannot be a vertebra from the probabilities of a grid.

    Each of C1..C7 keeps its largest piece and those beside it. Of all sets of vertebrae whose
    middles descend from C1 to C7, the one with the most voxels is kept; the voxels of the others go
    to their second choice. A vertebra below C7 lies below all of them.

    Args:
        probs: float (9, z, y, x), z downwards: background, C1..C7, other vertebra.

    Returns:
        float32 of the same shape; 0 where a class is removed.
    """
    kept = np.array(probs, np.float32)
    pieces = _pieces(kept)
    chosen = _descending({j: one for j, one in pieces.items() if j <= N_VERTEBRAE})
    dropped = [j for j in pieces if j <= N_VERTEBRAE and j not in chosen]
    if dropped:
        kept[dropped] = 0.0
        pieces = _pieces(kept)
        chosen = _descending({j: one for j, one in pieces.items() if j <= N_VERTEBRAE})
    lowest = max((_middle(pieces[j]) for j in chosen), default=-1.0)
    for j in range(1, OTHER_VERTEBRA + 1):
        if j == OTHER_VERTEBRA:
            near = _below(pieces.get(j), lowest)
        else:
            near = pieces[j] if j in chosen else None
        if near is None:
            kept[j] = 0.0
        else:
            kept[j] *= ndimage.binary_dilation(near, _CUBE)
    return kept


def _pieces(probs: NDArray[np.float32]) -> dict[int, NDArray[np.bool_]]:
    """The kept voxels of each class that has some, bool (z, y, x)."""
    labels = probs.argmax(axis=0).astype(np.uint8)
    found: dict[int, NDArray[np.bool_]] = {}
    for j in range(1, len(probs)):
        own = labels == j
        if np.count_nonzero(own) < LEAST_VOXELS:
            continue
        found[j] = own if j == OTHER_VERTEBRA else _largest(own)
    return found


def _largest(own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest piece, and smaller ones at about its height."""
    pieces, count = cast(tuple[NDArray[np.int32], int], ndimage.label(own, _CUBE))
    if count == 1:
        return own
    sizes = np.bincount(pieces.ravel())[1:]
    middles = np.array([z for z, _, _ in ndimage.center_of_mass(own, pieces, range(1, count + 1))])
    near = np.abs(middles - middles[sizes.argmax()]) <= REACH
    numbers = np.flatnonzero(near & (sizes >= LEAST_SHARE * sizes.max())) + 1
    return np.isin(pieces, numbers)


def _descending(pieces: dict[int, NDArray[np.bool_]]) -> tuple[int, ...]:
    """The classes with the most voxels whose middles descend in their order."""
    sizes = {j: int(np.count_nonzero(one)) for j, one in pieces.items()}
    middles = {j: _middle(one) for j, one in pieces.items()}
    best: tuple[int, tuple[int, ...]] = (0, ())
    for count in range(1, len(pieces) + 1):
        for names in combinations(sorted(pieces), count):
            heights = [middles[j] for j in names]
            if all(a < b for a, b in pairwise(heights)):
                best = max(best, (sum(sizes[j] for j in names), names))
    return best[1]


def _middle(piece: NDArray[np.bool_]) -> float:
    """Mean plane of a piece."""
    weights = piece.sum(axis=(1, 2))
    return float((weights * np.arange(len(weights))).sum() / max(weights.sum(), 1))


def _below(piece: NDArray[np.bool_] | None, plane: float) -> NDArray[np.bool_] | None:
    """The parts of a piece whose middle is below a plane; None if there are none."""
    if piece is None:
        return None
    parts, count = cast(tuple[NDArray[np.int32], int], ndimage.label(piece, _CUBE))
    middles = ndimage.center_of_mass(piece, parts, range(1, count + 1))
    numbers = [k for k, (z, _, _) in enumerate(middles, start=1) if z > plane]
    return np.isin(parts, numbers) if numbers else None
