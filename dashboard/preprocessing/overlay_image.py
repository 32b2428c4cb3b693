"""A prepared slice as a picture, with boxes and the outlines of a mask over it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL.ImageColor import getrgb

from core.constants import MASK_LABELS
from core.types import BoxXyxy
from core.visualization.colors import TRUE_BOX_COLOR, VERTEBRA_COLORS

SHOWN_PX: Final = 384
"""Smaller images are enlarged to this size, so that lines over them stay thin."""


def overlay_image(
    image: NDArray[np.uint8],
    *,
    boxes: Iterable[BoxXyxy] = (),
    labels: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Draw a slice in colour.

    Args:
        image: uint8 (h, w), or (3, h, w), whose channels become red, green and blue.
        boxes: xyxy in pixels of the image; 0 is the outer edge of the first one.
        labels: uint8 (h, w), 1..7 for C1..C7; their outlines are drawn.

    Returns:
        uint8 (rows, columns, 3), at least `SHOWN_PX` wide and high.
    """
    plane = image.transpose(1, 2, 0) if image.ndim == 3 else np.stack([image] * 3, axis=-1)
    scale = max(1, -(-SHOWN_PX // min(plane.shape[:2])))
    size = (plane.shape[1] * scale, plane.shape[0] * scale)
    # Nearest neighbour, to show the pixels that the network sees.
    shown = np.array(cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    width = max(1, round(min(size) / 256))
    if labels is not None:
        enlarged = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        _outline(shown, np.asarray(enlarged, np.uint8), width)
    for box in boxes:
        left, top, right, bottom = (round(edge * scale) for edge in box)
        cv2.rectangle(shown, (left, top), (right - 1, bottom - 1), getrgb(TRUE_BOX_COLOR), width)
    return shown


def _outline(shown: NDArray[np.uint8], labels: NDArray[np.uint8], width: int) -> None:
    for name, label in MASK_LABELS.items():
        inside = (labels == label).astype(np.uint8)
        if inside.any():
            lines, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(shown, lines, -1, getrgb(VERTEBRA_COLORS[name]), width)
