"""Write one DICOM file per slice: header and pixels."""

from __future__ import annotations

import copy
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from core.phantom.grid import Grid

INTERCEPT = -1024
BITS_STORED = 12


class SliceWriter:
    """Writes the slices of one series.

    Shared elements are encoded once: pydicom needs longer for a header of fifty elements than it
    takes to make a slice.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        study_uid: str,
        series_uid: str,
        frame_uid: str,
        kernel: str,
        compressed: bool,
    ) -> None:
        self._grid = grid
        self._heights = grid.z()
        self._meta = FileMetaDataset()
        self._meta.MediaStorageSOPClassUID = CTImageStorage
        self._meta.TransferSyntaxUID = (
            JPEGLosslessSV1 if compressed else ExplicitVRLittleEndian
        )  # fmt: skip
        self._meta.FileMetaInformationVersion = b"\0\1"
        self._meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
        shared = _identity(study_uid, series_uid, frame_uid)
        shared.KVP, shared.ConvolutionKernel = 120, kernel
        self._shared = _encoded(shared) | _encoded(_geometry(grid)) | _encoded(_pixel_format())
        self._own = Dataset()

    def for_series(self, series_uid: str, number: int, thickness_mm: float) -> SliceWriter:
        """Return a writer for another series of the study, with another slice thickness."""
        other = copy.copy(self)
        change = Dataset()
        change.SeriesInstanceUID, change.SeriesNumber = series_uid, number
        change.SliceThickness = change.SpacingBetweenSlices = round(thickness_mm, 4)
        other._shared = self._shared | _encoded(change)
        other._own = Dataset()
        return other

    def write(
        self, folder: Path, number: int, sop_uid: UID, hu: NDArray[np.int16], index: int
    ) -> None:
        """Write `<number>.dcm`.

        Args:
            folder: Folder to write to.
            number: File and instance number.
            sop_uid: SOPInstanceUID of the image.
            hu: int16 HU (y, x).
            index: Index of the slice in the grid, for its position.
        """
        ds = self._own
        x, y, _ = self._grid.corner
        z = round(float(self._heights[index]), 4)
        ds.ImagePositionPatient = [round(x, 4), round(y, 4), z]
        ds.SliceLocation = z
        self._save(folder, number, sop_uid, hu)

    def write_localizer(
        self, folder: Path, number: int, sop_uid: UID, series_uid: UID, hu: NDArray[np.int16]
    ) -> None:
        """Write a frontal overview, int16 (z, x), as a localizer of its own series."""
        other = self.for_series(series_uid, 0, 1.0)
        ds = other._own
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        ds.PixelSpacing = [self._grid.slice_mm, round(self._grid.pixel_mm, 6)]
        x, y, z = (round(v, 4) for v in self._grid.corner)
        ds.ImagePositionPatient, ds.SliceLocation = [x, y, z], 0
        other._save(folder, number, sop_uid, hu)

    def _save(self, folder: Path, number: int, sop_uid: UID, hu: NDArray[np.int16]) -> None:
        own = self._own
        self._meta.MediaStorageSOPInstanceUID = own.SOPInstanceUID = sop_uid
        own.InstanceNumber = number
        own.Rows, own.Columns = hu.shape
        stored = (hu.astype(np.int32) - INTERCEPT).astype("<u2")
        if self._meta.TransferSyntaxUID == JPEGLosslessSV1:
            frame = imagecodecs.jpeg8_encode(
                stored, lossless=True, predictor=1, bitspersample=BITS_STORED
            )
            own.PixelData = encapsulate([bytes(frame)])
            own["PixelData"].VR = "OB"
            own["PixelData"].is_undefined_length = True
        else:
            own.PixelData = stored.tobytes()
            own["PixelData"].VR = "OW"
        elements = self._shared | _encoded(own)
        head = DicomBytesIO(b"\0" * 128 + b"DICM")
        head.seek(0, 2)
        write_file_meta_info(head, self._meta)
        body = [elements[tag] for tag in sorted(elements)]
        (folder / f"{number}.dcm").write_bytes(head.getvalue() + b"".join(body))


def _identity(study_uid: str, series_uid: str, frame_uid: str) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, series_uid
    ds.FrameOfReferenceUID = frame_uid
    ds.PatientName, ds.PatientID = "SYNTHETIC^PHANTOM", f"PHANTOM-{study_uid[-8:]}"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientPosition = "", "O", "HFS"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20260101", "000000", "", "1"
    ds.ReferringPhysicianName = ""
    ds.Modality, ds.Manufacturer = "CT", "Phantom generator"
    ds.ManufacturerModelName = "Synthetic"
    ds.SeriesDescription, ds.BodyPartExamined = "SYNTHETIC C-SPINE", "CSPINE"
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ds.SeriesNumber, ds.AcquisitionNumber = 1, 1
    return ds


def _geometry(grid: Grid) -> Dataset:
    ds = Dataset()
    down = grid.column_direction()
    ds.ImageOrientationPatient = [1, 0, 0, *(round(float(v), 8) for v in down)]
    if grid.tilt_deg:
        ds.GantryDetectorTilt = round(grid.tilt_deg, 2)
    ds.PixelSpacing = [round(grid.pixel_mm, 6)] * 2
    ds.SliceThickness = round(grid.thickness_mm, 4)
    ds.SpacingBetweenSlices = round(grid.slice_mm, 4)
    return ds


def _pixel_format() -> Dataset:
    ds = Dataset()
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, BITS_STORED, BITS_STORED - 1
    ds.PixelRepresentation = 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = INTERCEPT, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 400, 1800
    return ds


def _encoded(ds: Dataset) -> dict[int, bytes]:
    """Bytes of each element by tag, Explicit VR Little Endian."""
    found: dict[int, bytes] = {}
    for element in ds:
        stream = DicomBytesIO()
        stream.is_little_endian, stream.is_implicit_VR = True, False
        write_data_element(stream, element)
        found[int(element.tag)] = stream.getvalue()
    return found
