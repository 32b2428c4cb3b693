"""A small CT writer for tests: made-up arrays in HU become a folder of DICOM files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "jpeg-lossless": JPEGLosslessSV1,
    "jpeg-lossless-p14": JPEGLossless,
    "jpeg-ls": JPEGLSLossless,
    "jpeg2000": JPEG2000Lossless,
    "htj2k": HTJ2KLossless,
    "rle": RLELossless,
}
"""Every transfer syntax `write_ct_series` can write, by a short name."""


def made_hu(n: int = 5, rows: int = 12, cols: int = 10, *, seed: int = 0) -> NDArray[np.int16]:
    """Return int16 HU, (n, rows, cols), every slice different, within 12 bits above -1024."""
    rng = np.random.default_rng(seed)
    return rng.integers(-1000, 3000, size=(n, rows, cols), dtype=np.int16)


def write_ct_series(
    folder: Path,
    hu: NDArray[np.int16],
    *,
    spacing_mm: tuple[float, float, float] = (2.0, 0.5, 0.75),
    z_first_mm: float = 100.0,
    z_mm: Sequence[float] | None = None,
    origin_xy_mm: tuple[float, float] = (-50.0, -40.0),
    orientation: Sequence[float] = AXIAL,
    syntax: str = "explicit",
    slope: float = 1.0,
    intercept: float = -1024.0,
    bits_stored: int = 16,
    signed: bool = False,
    photometric: str = "MONOCHROME2",
    padding: int | None = None,
    study_uid: str | None = None,
    series_uid: str | None = None,
    names: Sequence[str] | None = None,
    instance_numbers: Sequence[int] | None = None,
    edit: Callable[[Dataset, int], Any] | None = None,
) -> list[Path]:
    """Write `hu` as one CT series and return the files' paths, most cranial slice first.

    Args:
        folder: Made if absent.
        hu: int16 HU, (z, y, x); slice 0 is the most cranial.
        spacing_mm: (z, y, x).
        z_first_mm: Position of slice 0 along the slice normal.
        z_mm: Position of every slice instead of `z_first_mm` and even spacing.
        origin_xy_mm: In-plane coordinates (along row, along column) of the first pixel.
        orientation: ImageOrientationPatient; slice i lies at `z_mm[i]` along its normal.
        syntax: A key of `SYNTAXES`.
        slope: RescaleSlope; stored = (hu - intercept) / slope, rounded.
        intercept: RescaleIntercept.
        bits_stored: 8 < bits <= 16.
        signed: PixelRepresentation 1.
        photometric: MONOCHROME1 stores the inverse.
        padding: PixelPaddingValue, written into the header only.
        study_uid: Also the source of a default `series_uid`.
        series_uid: SeriesInstanceUID.
        names: File names; `<k>.dcm` from 1 by default.
        instance_numbers: InstanceNumber per slice; 1..n by default.
        edit: Called with each data set and its slice index just before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    study = study_uid or generate_uid(entropy_srcs=[folder.name])
    series = series_uid or generate_uid(entropy_srcs=[study, "series"])
    n = len(hu)
    names = names or [f"{k + 1}.dcm" for k in range(n)]
    numbers = instance_numbers or range(1, n + 1)
    heights = z_mm if z_mm is not None else [z_first_mm - k * spacing_mm[0] for k in range(n)]
    stored = stored_values(
        hu, slope=slope, intercept=intercept, bits_stored=bits_stored, signed=signed
    )
    if photometric == "MONOCHROME1":
        low = -(1 << (bits_stored - 1)) if signed else 0
        stored = (2 * low + (1 << bits_stored) - 1 - stored.astype(np.int64)).astype(stored.dtype)
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    paths = []
    for k in range(n):
        ds = Dataset()
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(k)])
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.PatientName, ds.PatientID = "Made^Up", "MADE-UP"
        ds.InstanceNumber = int(numbers[k])
        position = origin_xy_mm[0] * row + origin_xy_mm[1] * column + heights[k] * normal
        ds.ImagePositionPatient = [f"{v:.9g}" for v in position]
        ds.ImageOrientationPatient = [f"{v:.12g}" for v in orientation]
        ds.PixelSpacing = [spacing_mm[1], spacing_mm[2]]
        ds.SliceThickness = spacing_mm[0]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
        ds.Rows, ds.Columns = int(hu.shape[1]), int(hu.shape[2])
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits_stored, bits_stored - 1
        ds.PixelRepresentation = int(signed)
        if padding is not None:
            ds.PixelPaddingValue = padding
        ds.RescaleSlope, ds.RescaleIntercept = f"{slope:.10g}", f"{intercept:.10g}"
        ds.RescaleType = "HU"
        _set_pixels(ds, stored[k], syntax)
        if edit is not None:
            edit(ds, k)
        path = folder / names[k]
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def stored_values(
    hu: NDArray[np.int16], *, slope: float, intercept: float, bits_stored: int, signed: bool
) -> NDArray[Any]:
    """Return the int16 or uint16 stored values that rescale to `hu`, clipped to `bits_stored`."""
    low = -(1 << (bits_stored - 1)) if signed else 0
    high = low + (1 << bits_stored) - 1
    values = np.clip(np.rint((hu.astype(np.float64) - intercept) / slope), low, high)
    return values.astype(np.int16 if signed else np.uint16)


def _set_pixels(ds: Dataset, stored: NDArray[Any], syntax: str) -> None:
    uid = SYNTAXES[syntax]
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    bits = ds.BitsStored
    if syntax == "rle":
        ds.compress(RLELossless, stored, generate_instance_uid=False)
        return
    if not uid.is_encapsulated:
        ds.PixelData = stored.astype(">u2" if syntax == "big-endian" else "<u2").tobytes()
        ds["PixelData"].VR = "OW"
        return
    ds.PixelData = encapsulate([encoded_frame(stored, syntax, bits)])
    ds["PixelData"].VR = "OB"


def encoded_frame(stored: NDArray[Any], syntax: str, bits: int) -> bytes:
    """Compress one image without loss.

    Args:
        stored: int16 or uint16, (y, x).
        syntax: A compressed key of `SYNTAXES`, not "rle".
        bits: BitsStored.
    """
    if syntax == "jpeg2000":
        return bytes(
            imagecodecs.jpeg2k_encode(
                stored, level=0, codecformat="j2k", reversible=True, bitspersample=bits
            )
        )
    if syntax == "htj2k":
        return bytes(imagecodecs.htj2k_encode(stored, reversible=True))
    # JPEG and JPEG-LS streams carry no sign: the bits of a signed value go in as they are.
    bare = stored.astype(np.uint16) & np.uint16((1 << bits) - 1)
    if syntax == "jpeg-ls":
        return bytes(imagecodecs.jpegls_encode(bare))
    predictor = 1 if syntax == "jpeg-lossless" else 6
    return bytes(
        imagecodecs.jpeg8_encode(bare, lossless=True, predictor=predictor, bitspersample=bits)
    )
