"""Eight neighbouring slices of a made-up study, to be edited, saved and read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.core.dicom.dicom_factory import made_hu, write_ct_series

STEP_MM = 2.0


def neighbours(folder: Path, n: int = 8) -> list[Dataset]:
    """Return `n` slices, head first, with every element that tells volumes apart."""

    def state(ds: Dataset, k: int) -> None:
        ds.FrameOfReferenceUID = "1.2.3.9"
        ds.SeriesNumber, ds.AcquisitionNumber = 4, 1
        ds.KVP, ds.ConvolutionKernel = 120, "B30s"
        ds.GantryDetectorTilt = 0
        ds.SliceLocation = ds.ImagePositionPatient[2]
        ds.PatientBirthDate = "19700101"

    files = write_ct_series(
        folder, made_hu(n, 16, 14), spacing_mm=(STEP_MM, 0.5, 0.5), edit=state, study_uid="1.2.3",
        series_uid="1.2.3.4",
    )  # fmt: skip
    return [pydicom.dcmread(file) for file in files]


def hu_of(slices: Iterable[Dataset]) -> NDArray[np.int16]:
    """Return what should be read of slices in this order, int16 HU (z, y, x)."""
    return np.stack(
        [ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in slices]
    ).astype(np.int16)


def twin(
    slices: Sequence[Dataset],
    edit: Callable[[Dataset], object],
    *,
    shift_mm: float = STEP_MM / 2,
    add: int = 300,
    new_objects: bool = True,
) -> list[Dataset]:
    """Return a deep copy, edited, shifted along z and with other voxels."""
    copies = [copy.deepcopy(ds) for ds in slices]
    for ds in copies:
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, z - shift_mm]
        if "SliceLocation" in ds:
            ds.SliceLocation = z - shift_mm
        ds.PixelData = (ds.pixel_array + np.uint16(add)).astype("<u2").tobytes()
        if new_objects:
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        edit(ds)
    return copies


def save(slices: Iterable[Dataset], folder: Path, start: int = 1, name: str = "{}.dcm") -> Path:
    """Write slices as numbered files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, ds in enumerate(slices, start=start):
        ds.save_as(folder / name.format(number), enforce_file_format=True)
    return folder
