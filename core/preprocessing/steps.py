"""How a slice becomes a network's input, step by step and as a whole; what a page can preview."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.config import ChannelMode, RunConfig
from core.constants import DISPLAY_WINDOWS, NETWORK_WINDOWS
from core.preprocessing.augmentation import (
    Augmentation,
    AugmentationRanges,
    apply_augmentation,
    augmentation_seed,
    draws_of_batch,
)
from core.preprocessing.geometry import box_in_prepared_xyxy, center_crop, resize_slices
from core.preprocessing.intensity import window_to_uint8
from core.preprocessing.network_input import slices_for_network, stack_neighbours
from core.preprocessing.noise_reduction import reduce_noise
from core.preprocessing.spine_field import SpineField, spine_field_of
from core.types import BoxXyxy, CTVolume, HuWindow, NoiseReduction


@dataclass(frozen=True, slots=True)
class InputSettings:
    """Everything that decides what a network is given of a slice.

    Attributes:
        window: HU window mapped to 0..255.
        crop: Central fraction of the shorter side, in (0, 1].
        size: Side of the result in pixels.
        channels: What the three channels hold.
        noise: What is done against noise.
        field_mm: Side of a square that follows the spine, in place of the crop.
    """

    window: HuWindow = field(default_factory=lambda: HuWindow(*DISPLAY_WINDOWS["bone"]))
    crop: float = 1.0
    size: int = 512
    channels: ChannelMode = "grey"
    noise: NoiseReduction = field(default_factory=NoiseReduction)
    field_mm: float | None = None

    @classmethod
    def of(cls, config: RunConfig) -> InputSettings:
        """What a run is trained with."""
        return cls(
            window=config.window, crop=config.crop, size=config.size, channels=config.channels,
            noise=config.noise, field_mm=config.field_mm,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class PreparationSteps:
    """One slice on its way to a network.

    Attributes:
        hu: int16 HU (h, w), as it was scanned.
        cut: int16 HU (a, b), what is kept of it.
        windowed: uint8 (a, b), its grey levels in the window; the first of three windows.
        resized: uint8 (size, size).
        cleaned: uint8 (size, size), after noise reduction.
        channels: uint8 (3, size, size), what the network's three channels hold.
        channel_names: One a channel.
        network: uint8 (size, size) for "grey", else (3, size, size): what training gathers.
    """

    hu: NDArray[np.int16]
    cut: NDArray[np.int16]
    windowed: NDArray[np.uint8]
    resized: NDArray[np.uint8]
    cleaned: NDArray[np.uint8]
    channels: NDArray[np.uint8]
    channel_names: tuple[str, str, str]
    network: NDArray[np.uint8]


def spine_field(volume: CTVolume, settings: InputSettings) -> SpineField | None:
    """The square that follows the spine; None where the central crop is taken."""
    return spine_field_of(volume, settings.field_mm)


def network_slice(
    volume: CTVolume, index: int, settings: InputSettings, spine: SpineField | None = None
) -> NDArray[np.uint8]:
    """Prepare one slice as the slice store and a training batch would.

    Args:
        volume: The series.
        index: Slice, 0 the most cranial.
        settings: How.
        spine: From `spine_field`, of the whole series.

    Returns:
        uint8 (size, size) for "grey", else (3, size, size).
    """
    beside = settings.channels == "neighbours"
    first = max(index - 1, 0) if beside else index
    last = min(index + 2, volume.n_slices) if beside else index + 1
    prepared = slices_for_network(
        volume.hu[first:last], window=settings.window, crop=settings.crop, size=settings.size,
        channels=settings.channels, noise=settings.noise,
        field=None if spine is None else spine[first:last],
    )  # fmt: skip
    if beside:
        return stack_neighbours(prepared, np.array([index - first]))[0]
    return prepared[0]


def preparation_steps(
    volume: CTVolume, index: int, settings: InputSettings, spine: SpineField | None = None
) -> PreparationSteps:
    """Prepare one slice and keep what each step makes of it; arguments as for `network_slice`."""
    hu = np.asarray(volume.hu[index])
    cut = center_crop(hu[np.newaxis], settings.crop)[0] if spine is None else spine.cut(hu, index)
    windows = _windows(settings)
    windowed = window_to_uint8(cut, windows[0])
    resized = resize_slices(windowed[np.newaxis], settings.size)[0]
    network = network_slice(volume, index, settings, spine)
    channels = np.stack([network] * 3) if network.ndim == 2 else network
    return PreparationSteps(
        hu=hu,
        cut=cut,
        windowed=windowed,
        resized=resized,
        cleaned=reduce_noise(resized, settings.noise),
        channels=channels,
        channel_names=_channel_names(settings.channels),
        network=network,
    )


def preview_draws(
    seed: int, count: int, ranges: AugmentationRanges, *, epoch: int = 0, batch: int = 0
) -> list[Augmentation]:
    """The changes that a run of this seed draws for a batch of `count` slices."""
    return draws_of_batch(augmentation_seed(seed, epoch), batch, count, ranges)


def changes_nothing(network: NDArray[np.uint8], change: Augmentation) -> bool:
    """Whether a change leaves every byte of a prepared slice as it is."""
    return bool(np.array_equal(apply_augmentation(network, change), network))


def place_box_xyxy(
    xyxy: BoxXyxy, shape: tuple[int, int], index: int, settings: InputSettings,
    spine: SpineField | None = None,
) -> BoxXyxy:  # fmt: skip
    """Place a box of a slice on the prepared slice.

    Args:
        xyxy: In pixels of the slice.
        shape: (h, w) of the slice.
        index: The slice.
        settings: How it is prepared.
        spine: From `spine_field`.
    """
    if spine is None:
        return box_in_prepared_xyxy(xyxy, shape, crop=settings.crop, size=settings.size)
    left, top, right, bottom = spine.box_xyxy(index)
    x, y = settings.size / (right - left), settings.size / (bottom - top)
    return (xyxy[0] - left) * x, (xyxy[1] - top) * y, (xyxy[2] - left) * x, (xyxy[3] - top) * y


def place_mask(
    labels: NDArray[np.uint8], index: int, settings: InputSettings, spine: SpineField | None = None
) -> NDArray[np.uint8]:
    """Place the labels of a slice on the prepared slice, the nearest pixel's, uint8 (size, size).

    Args:
        labels: uint8 (h, w), of the slice.
        index: The slice.
        settings: How it is prepared.
        spine: From `spine_field`.
    """
    if spine is None:
        cut = center_crop(labels[np.newaxis], settings.crop)[0]
    else:
        # Air, which `cut` fills in, is no label.
        cut = np.maximum(spine.cut(labels.astype(np.int16), index), 0).astype(np.uint8)
    rows = (np.arange(settings.size) + 0.5) * cut.shape[0] / settings.size
    columns = (np.arange(settings.size) + 0.5) * cut.shape[1] / settings.size
    return np.ascontiguousarray(cut[np.ix_(rows.astype(np.int64), columns.astype(np.int64))])


def _windows(settings: InputSettings) -> tuple[HuWindow, ...]:
    if settings.channels == "windows":
        return tuple(HuWindow(*window) for window in NETWORK_WINDOWS.values())
    return (settings.window,)


def _channel_names(channels: ChannelMode) -> tuple[str, str, str]:
    if channels == "windows":
        first, second, third = NETWORK_WINDOWS
        return first, second, third
    if channels == "neighbours":
        return "slice above", "this slice", "slice below"
    return "grey", "the same", "the same"
