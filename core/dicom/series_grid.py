"""The grid of a series without its pixels, to bring a mask onto its slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.constants import HU_AIR
from core.dicom.series import place_series
from core.dicom.volume_grid import placed_volume, volume_grid
from core.errors import DicomSeriesError
from core.types import AS_STORED, AxisOrder, CTVolume


def series_grid(folder: Path) -> CTVolume:
    """Place the slices of a series from its headers alone, in the order of `read_series`.

    Args:
        folder: Holds the files of one series.

    Returns:
        A volume with true geometry whose `hu` is air throughout and takes no memory.

    Raises:
        DicomSeriesError: The folder cannot be read as one CT series.
    """
    placement, notes = place_series(folder)
    grid = volume_grid(placement)
    air = np.broadcast_to(np.int16(HU_AIR), grid.shape)
    return placed_volume(placement, grid, air, [*notes, *placement.notes])


def series_axes(folder: Path) -> AxisOrder:
    """Find how the axes of a folder's volume run along those of its files, from headers alone.

    A folder that `read_series` would refuse counts as stored in the usual orientation.
    """
    try:
        return place_series(folder)[0].axes
    except DicomSeriesError:
        return AS_STORED
