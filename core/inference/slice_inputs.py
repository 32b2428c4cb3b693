"""Slices of a series as a bundle's network takes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.bundles import BundleInfo
from core.preprocessing.geometry import center_crop_xyxy
from core.preprocessing.network_input import batch_for_network
from core.preprocessing.spine_field import SpineField, spine_field_of
from core.types import CTVolume


def prepared_images(
    volume: CTVolume, index: int, bundle: BundleInfo
) -> tuple[Tensor, tuple[int, int, int, int]]:
    """Prepare one slice for a bundle's network, and give the region of the slice that it shows.

    Returns:
        Images of one slice as `SliceModel.forward` takes them, and the region they show as left,
        top, right, bottom in pixel edges of the slice; it may extend past the slice.
    """
    preparation = bundle.config.preparation
    field = spine_field_of(volume, preparation.field_mm)
    one = slice(index, index + 1)
    images = torch.from_numpy(batch_for_network(volume.hu, one, preparation, field))
    if field is not None:
        return images, field.box_xyxy(index)
    return images, center_crop_xyxy(volume.hu.shape[1:], preparation.crop)


def prepared_batch(
    hu: NDArray[np.int16],
    batch: slice,
    bundle: BundleInfo,
    fields: Mapping[float | None, SpineField | None],
) -> Tensor:
    """A network's images of some slices of a series, as `SliceModel.forward` takes them.

    Args:
        hu: int16 (z, y, x).
        batch: The slices.
        bundle: The network's bundle.
        fields: The fields along the spine by their side in mm; under None, None.
    """
    preparation = bundle.config.preparation
    return torch.from_numpy(batch_for_network(hu, batch, preparation, fields[preparation.field_mm]))
