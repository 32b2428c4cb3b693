"""The grid of a series without its pixels, to bring a mask onto its slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.constants import HU_AIR
from core.dicom.geometry import place_slices
from core.dicom.headers import SliceHeader, read_header
from core.dicom.series import read_series
from core.types import CTVolume


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
    first = placement.headers[0]
    shape = (len(placement.headers), first.rows, first.columns)
    return CTVolume(
        hu=np.broadcast_to(np.int16(HU_AIR), shape),
        spacing_mm=placement.spacing_mm,
        affine=placement.affine,
        z_mm=placement.z_mm,
        instance_numbers=tuple(header.instance_number for header in placement.headers),
        source_files=tuple(header.path for header in placement.headers),
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        slice_thickness_mm=first.thickness,
        notes=placement.notes,
        shift_px=placement.shift_px,
    )


def _plain_series(folder: Path) -> Sequence[SliceHeader] | None:
    """Return all headers of the folder where they are one CT series without flaws, else None."""
    try:
        files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    except OSError:
        return None
    headers = [read_header(file) if file.is_file() else None for file in files]
    plain = [
        header
        for header in headers
        if header is not None
        and header.modality == "CT"
        and not header.localizer
        and not header.flaw
        and header.pixel_offset is not None
    ]
    one_series = len({header.series_uid for header in plain}) == 1
    return plain if one_series and len(plain) == len(headers) else None
