"""Preparation of a slice for a network, step by step, for previews."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.config import SlicePreparation
from core.constants import NETWORK_WINDOWS, ChannelMode
from core.preprocessing.augmentation import Augmentation, apply_augmentation
from core.preprocessing.box_geometry import boxes_to_square
from core.preprocessing.geometry import center_crop, center_crop_xyxy, resize_slices
from core.preprocessing.intensity import window_to_uint8
from core.preprocessing.network_input import batch_for_network
from core.preprocessing.noise_reduction import reduce_noise
from core.preprocessing.spine_field import SpineField
from core.types import BoxXyxy, CTVolume


@dataclass(frozen=True, slots=True, eq=False)
class PreparationSteps:
    """Intermediate results of preparing one slice.

    Attributes:
        hu: int16 HU (h, w), the whole slice.
        cut: int16 HU (a, b), the part that is kept.
        windowed: uint8 (a, b), grey levels in the window, the first if there are three.
        resized: uint8 (size, size).
        cleaned: uint8 (size, size), after noise reduction.
        channels: uint8 (3, size, size), the network's three channels.
        channel_names: One per channel.
        network: uint8 (size, size) for "grey", else (3, size, size), as in a training batch.
    """

    hu: NDArray[np.int16]
    cut: NDArray[np.int16]
    windowed: NDArray[np.uint8]
    resized: NDArray[np.uint8]
    cleaned: NDArray[np.uint8]
    channels: NDArray[np.uint8]
    channel_names: tuple[str, str, str]
    network: NDArray[np.uint8]


def preparation_steps(
    volume: CTVolume, index: int, preparation: SlicePreparation, spine: SpineField | None = None
) -> PreparationSteps:
    """Prepare one slice as for a training batch, and keep the result of each step.

    Args:
        volume: The series.
        index: Index of the slice, 0 the most cranial.
        preparation: The preparation.
        spine: From `spine_field_of`, of the whole series.
    """
    hu = np.asarray(volume.hu[index])
    if spine is None:
        cut = center_crop(hu[np.newaxis], preparation.crop)[0]
    else:
        cut = spine.cut(hu, index)
    windowed = window_to_uint8(cut, preparation.windows[0])
    resized = resize_slices(windowed[np.newaxis], preparation.size)[0]
    network = batch_for_network(volume.hu, slice(index, index + 1), preparation, spine)[0]
    channels = np.stack([network] * 3) if network.ndim == 2 else network
    return PreparationSteps(
        hu=hu,
        cut=cut,
        windowed=windowed,
        resized=resized,
        cleaned=reduce_noise(resized, preparation.noise),
        channels=channels,
        channel_names=_channel_names(preparation.channels),
        network=network,
    )


def changes_nothing(network: NDArray[np.uint8], change: Augmentation) -> bool:
    """Whether a change leaves every byte of a prepared slice unchanged."""
    return bool(np.array_equal(apply_augmentation(network, change), network))


def place_box_xyxy(
    xyxy: BoxXyxy, shape: tuple[int, int], index: int, preparation: SlicePreparation,
    spine: SpineField | None = None,
) -> BoxXyxy:  # fmt: skip
    """Place a box of a slice on the prepared slice.

    Args:
        xyxy: Box in pixels of the slice.
        shape: (h, w) of the slice.
        index: Index of the slice.
        preparation: The preparation.
        spine: From `spine_field_of`.
    """
    kept = center_crop_xyxy(shape, preparation.crop) if spine is None else spine.box_xyxy(index)
    placed = boxes_to_square(np.array([xyxy]), np.array(kept), preparation.size)[0]
    left, top, right, bottom = map(float, placed)
    return left, top, right, bottom


def place_mask(
    labels: NDArray[np.uint8],
    index: int,
    preparation: SlicePreparation,
    spine: SpineField | None = None,
) -> NDArray[np.uint8]:
    """Place the labels of a slice on the prepared slice, by nearest pixel, uint8 (size, size).

    Args:
        labels: uint8 (h, w), labels of the slice.
        index: Index of the slice.
        preparation: The preparation.
        spine: From `spine_field_of`.
    """
    if spine is None:
        cut = center_crop(labels[np.newaxis], preparation.crop)[0]
    else:
        # `cut` pads with air, which is not a label.
        cut = np.maximum(spine.cut(labels.astype(np.int16), index), 0).astype(np.uint8)
    rows = (np.arange(preparation.size) + 0.5) * cut.shape[0] / preparation.size
    columns = (np.arange(preparation.size) + 0.5) * cut.shape[1] / preparation.size
    return np.ascontiguousarray(cut[np.ix_(rows.astype(np.int64), columns.astype(np.int64))])


def _channel_names(channels: ChannelMode) -> tuple[str, str, str]:
    if channels == "windows":
        first, second, third = NETWORK_WINDOWS
        return first, second, third
    if channels == "neighbours":
        return "slice above", "this slice", "slice below"
    return "grey", "the same", "the same"
