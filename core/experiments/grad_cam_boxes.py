"""A baseline without training on boxes: the box around the hot part of an activation map."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

HOT_SHARE = 0.5
"""Smallest heat of a pixel in the box, as a share of the map's largest."""


def box_of_heat(
    heat: NDArray[np.float32], *, share: float = HOT_SHARE
) -> tuple[float, float, float, float] | None:
    """The box around the largest connected hot part of a map (as Zhou et al. 2016, "CAM").

    Args:
        heat: float32 (h, w), in [0, 1], such as `Explanation.heat`.
        share: Smallest heat of the box, as a share in (0, 1] of the map's largest value.

    Returns:
        xyxy in pixel edges; None if the map is empty.

    Raises:
        ValueError: `share` is outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"The share of the largest heat lies in (0, 1], but it is {share}.")
    if not heat.size or not heat.max() > 0:
        return None
    hot = (heat >= share * heat.max()).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    left, top, width, height, _ = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())].tolist()
    return float(left), float(top), float(left + width), float(top + height)
