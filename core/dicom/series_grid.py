"""The grid of a series without its pixels, to bring a mask onto its slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.constants import HU_AIR
from core.dicom.geometry import place_slices
from core.dicom.headers import SliceHeader, read_headers
from core.dicom.series import choose_series, headers_of_files, read_series, series_files
from core.dicom.volume_grid import placed_volume, volume_grid
from core.errors import DicomSeriesError
from core.types import AS_STORED, AxisOrder, CTVolume


def series_grid(folder: Path) -> CTVolume:
    """Place the slices of a series from its headers alone, in the order of `read_series`.

    A folder that holds anything but one plain CT series is left to `read_series`, which chooses
    and refuses as it always does; that decodes the pixels.

    Args:
        folder: Holds the files of one series.

    Returns:
        A volume with true geometry whose `hu` is air throughout and takes no memory.

    Raises:
        DicomSeriesError: The folder cannot be read as one CT series.
    """
    headers = _plain_series(folder)
    if headers is None:
        return read_series(folder)
    placement = place_slices(headers)
    grid = volume_grid(placement)
    air = np.broadcast_to(np.int16(HU_AIR), grid.shape)
    return placed_volume(placement, grid, air, placement.notes)


def series_axes(folder: Path) -> AxisOrder:
    """Find how the axes of a folder's volume run along those of its files, from headers alone.

    A folder that `read_series` would refuse counts as stored in the usual orientation.
    """
    try:
        headers, _ = headers_of_files(series_files(folder), None)
        return place_slices(choose_series(folder, headers, [])).axes
    except DicomSeriesError:
        return AS_STORED


def _plain_series(folder: Path) -> Sequence[SliceHeader] | None:
    """Return all headers of the folder where they are one CT series without flaws, else None."""
    try:
        files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    except OSError:
        return None
    found = [read_headers(file) if file.is_file() else () for file in files]
    headers = [header for slices in found for header in slices]
    plain = [
        header
        for header in headers
        if header.modality == "CT"
        and not header.localizer
        and not header.flaw
        and header.pixel_offset is not None
    ]
    one_series = len({header.series_uid for header in plain}) == 1
    return plain if one_series and all(found) and len(plain) == len(headers) else None
