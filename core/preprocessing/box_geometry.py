"""Boxes under cropping, resizing and augmentation of a slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.preprocessing.augmentation import Augmentation, pixel_matrix

Boxes = NDArray[np.float64]
"""xyxy, float64 (n, 4): pixel edges, so that a box over one pixel is 1 wide."""


def boxes_to_square(boxes: Boxes, square: NDArray[np.float64], size: int) -> Boxes:
    """Map boxes on a slice to a square that was cut from it and resized.

    Args:
        boxes: xyxy (n, 4) in pixels of the slice.
        square: (4,) left, top, right, bottom of the square in pixels of the slice.
        size: Side of the resized square in pixels.

    Returns:
        xyxy (n, 4) in pixels of the resized square; parts beyond it are not clipped.
    """
    scale = size / (square[2:] - square[:2])
    return (boxes - np.tile(square[:2], 2)) * np.tile(scale, 2)


def boxes_from_square(boxes: Boxes, square: NDArray[np.float64], size: int) -> Boxes:
    """Inverse of `boxes_to_square`."""
    scale = (square[2:] - square[:2]) / size
    return boxes * np.tile(scale, 2) + np.tile(square[:2], 2)


def move_boxes(boxes: Boxes, augmentation: Augmentation, shape: tuple[int, int]) -> Boxes:
    """Move boxes as `apply_augmentation` moves the pixels of a slice.

    A rotated box is replaced by the upright one around it.

    Args:
        boxes: xyxy (n, 4) in pixels.
        augmentation: The change.
        shape: (h, w) of the slice.

    Returns:
        xyxy (n, 4); a box may reach past the slice.
    """
    height, width = shape
    left, top, right, bottom = boxes.T
    if augmentation.flip:
        left, right = width - right, width - left
    matrix = pixel_matrix(augmentation, width, height)
    # OpenCV counts from pixel centres, a box from pixel edges: half a pixel between them.
    corners = np.stack([[left, top], [right, top], [right, bottom], [left, bottom]]) - 0.5
    moved = np.einsum("ij,cjn->cin", matrix[:, :2], corners) + matrix[:, 2:] + 0.5
    return np.concatenate([moved.min(axis=0), moved.max(axis=0)]).T


def clip_boxes(boxes: Boxes, width: int, height: int) -> Boxes:
    """Clip boxes at the edge of a slice of `width` x `height` pixels."""
    return np.clip(boxes, 0.0, np.array([width, height, width, height], dtype=np.float64))


def box_iou(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every pair.

    Args:
        boxes: xyxy (n, 4).
        others: xyxy (m, 4), in the same unit.

    Returns:
        float64 (n, m); 0 where both boxes are empty.
    """
    return iou(boxes[:, np.newaxis], others)


def iou(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Intersection over union of xyxy boxes (..., 4) that broadcast together; 0 of empty boxes."""
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=-1)
    union = box_area(boxes) + box_area(others) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def box_area(boxes: Boxes) -> NDArray[np.float64]:
    """Area of xyxy boxes (..., 4), float64 (...)."""
    return np.clip(boxes[..., 2:] - boxes[..., :2], 0.0, None).prod(axis=-1)
