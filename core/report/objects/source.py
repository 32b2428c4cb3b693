"""The series that DICOM objects refer to: its images, its patient and study, its planes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage
from pydicom.valuerep import DSfloat, validate_value

from core.dicom.box_mapping import BoxMapping, PlaneBoxes
from core.dicom.headers import SliceHeader
from core.dicom.orientation import to_file_order
from core.dicom.series import place_series
from core.errors import DicomSeriesError
from core.report.objects.quiet import quiet
from core.system.uids import derived_uid
from core.types import CTVolume

_REQUIRED: Final = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "AccessionNumber", "StudyID", "ReferringPhysicianName",
)  # fmt: skip
"""Elements of patient and study that every object has, empty where they are unknown."""
OPTIONAL: Final = (
    "IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight", "StudyDescription",
    "PatientIdentityRemoved", "DeidentificationMethod",
)  # fmt: skip
"""Further elements of patient and study, where they are known."""
_OTHER: Final = ("SpecificCharacterSet", "SOPClassUID", "FrameOfReferenceUID", "SyntheticData")
_SEXES: Final = ("M", "F", "O")
_UTF8: Final = "ISO_IR 192"


@dataclass(frozen=True, slots=True, eq=False)
class SourceSeries:
    """A CT series and what objects about it carry over.

    Attributes:
        volume: The series.
        images: One data set per plane of the files, in the order of `volume.source_files`: patient,
            study, place, no pixels. Frames of one file share its data set.
        frames: Number of each plane's frame, from 1; 0 for a file of one image.
        synthetic: Whether the series is generated.
    """

    volume: CTVolume
    images: tuple[Dataset, ...]
    frames: tuple[int, ...]
    synthetic: bool

    @property
    def first(self) -> Dataset:
        """The data set of the first plane."""
        return self.images[0]

    def planes_of(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring labels on the volume to the files, the nearest voxel where a tilt moved them.

        Args:
            labels: uint8 (z, y, x).

        Returns:
            uint8 (plane, row, column).
        """
        stored = np.ascontiguousarray(to_file_order(labels, self.volume.axes))
        if self.volume.shift_px is None:
            return stored
        moved = np.zeros_like(stored)
        for plane, source, (dx, dy) in zip(moved, stored, self.volume.shift_px, strict=True):
            rows, from_rows = _moved(plane.shape[0], dy)
            columns, from_columns = _moved(plane.shape[1], dx)
            plane[np.ix_(rows, columns)] = source[np.ix_(from_rows, from_columns)]
        return moved

    def boxes_of(self, boxes: PlaneBoxes) -> PlaneBoxes:
        """Bring boxes on the slices to the planes of the files."""
        return BoxMapping.of(self.volume).to_files(boxes)

    def plane_of_slice(self, index: int) -> int | None:
        """Plane of a slice; None where slices have no file of their own."""
        axes = self.volume.axes
        if not axes.keeps_slices:
            return None
        return len(self.images) - 1 - index if axes.flips[0] else index


def read_source(folder: Path, volume: CTVolume, *, synthetic: bool = False) -> SourceSeries:
    """Read the headers of a series for objects that refer to it.

    Values of patient and study that break the standard are left out.

    Args:
        folder: Holds the files of the series.
        volume: What `read_series` made of them.
        synthetic: Whether the series is known to be generated.

    Raises:
        DicomSeriesError: It is no CT, its images have no SOPInstanceUID or no place, or its files
            are not those of the volume.
    """
    headers = place_series(folder)[0].headers
    if tuple(header.instance_number for header in headers) != volume.instance_numbers:
        raise DicomSeriesError(
            folder, "its files changed since it was read", "open the study again"
        )
    for header in headers:
        _check(header)
    framed = headers[0].frame > 0
    _check_images(folder, headers, framed=framed)
    with quiet():
        found = _read(headers[0].path)
        shared = _shared(found, headers[0])
        if framed:
            images = [_of_frames(headers[0].path, shared)] * len(headers)
        else:
            images = [_of_file(header, shared) for header in headers]
    generated = synthetic or found.get("SyntheticData") == "YES"
    frames = tuple(header.frame for header in headers)
    return SourceSeries(volume, tuple(images), frames, generated)


def _moved(size: int, shift: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return places on a file, and those on the volume that they are taken from."""
    source = np.rint(np.arange(size) + shift).astype(np.intp)
    inside = (source >= 0) & (source < size)
    return np.flatnonzero(inside), source[inside]


def _check(header: SliceHeader) -> None:
    if header.modality != "CT":
        raise DicomSeriesError(
            header.path, "it is no CT image", "export the findings of a CT series"
        )
    if not header.sop_uid or not header.study_uid or not header.series_uid:
        raise DicomSeriesError(
            header.path,
            "it has no SOPInstanceUID, StudyInstanceUID or SeriesInstanceUID for objects to refer "
            "to",
            "export the series again from its source",
        )
    if header.position is None or header.orientation is None or header.spacing is None:
        raise DicomSeriesError(
            header.path,
            "it states no position, orientation or pixel spacing",
            "export the series again from its source",
        )


def _check_images(folder: Path, headers: Sequence[SliceHeader], *, framed: bool) -> None:
    uids = Counter(header.sop_uid for header in headers)
    if framed and len(uids) > 1:
        raise DicomSeriesError(
            folder,
            "its frames lie in several files",
            "export the findings of a series in one file or in files of one image",
        )
    if not framed and max(uids.values()) > 1:
        raise DicomSeriesError(
            folder,
            "several of its files have the same SOPInstanceUID",
            "export the series again from its source",
        )


def _read(path: Path) -> Dataset:
    """Read the elements of a file that may be carried over."""
    try:
        found = pydicom.dcmread(
            path, stop_before_pixels=True, force=True,
            specific_tags=[*_REQUIRED, *OPTIONAL, *_OTHER],
        )  # fmt: skip
        return Dataset({tag: found[tag] for tag in found.keys()})  # noqa: SIM118 - raw elements fail here
    except Exception as error:
        # A damaged element fails wherever pydicom meets it, in many ways.
        raise DicomSeriesError(
            path, "its DICOM header is broken", "copy the file again from its source"
        ) from error


def _shared(found: Dataset, header: SliceHeader) -> Dataset:
    """Give what all images and all objects share: patient, study, series, frame of reference."""
    shared = Dataset()
    for keyword in (*_REQUIRED, *OPTIONAL):
        text = _text(found, keyword)
        if text or keyword in _REQUIRED:
            setattr(shared, keyword, text)
    if shared.PatientSex not in _SEXES:
        shared.PatientSex = ""
    if not all(str(element.value).isascii() for element in shared):
        shared.SpecificCharacterSet = _UTF8
    shared.SOPClassUID = EnhancedCTImageStorage if header.frame else CTImageStorage
    shared.Modality = "CT"
    shared.StudyInstanceUID, shared.SeriesInstanceUID = header.study_uid, header.series_uid
    # Files without a frame of reference have one of their own: all slices lie in one.
    shared.FrameOfReferenceUID = _text(found, "FrameOfReferenceUID") or derived_uid(
        header.series_uid, "frame of reference"
    )
    return shared


def _text(found: Dataset, keyword: str) -> str:
    """Give an element's value as text; "" where it is absent or breaks the standard."""
    value = found.get(keyword)
    if isinstance(value, MultiValue):
        value = value[0] if value else ""
    text = "" if value is None else str(value)
    try:
        validate_value(dictionary_VR(keyword), text, RAISE)
    except ValueError:
        return ""
    return text


def _of_file(header: SliceHeader, shared: Dataset) -> Dataset:
    """Give the data set of a file of one image, without its pixels."""
    image = Dataset()
    image.update(shared)
    image.SOPInstanceUID, image.InstanceNumber = header.sop_uid, header.instance_number
    image.Rows, image.Columns = header.rows, header.columns
    image.ImagePositionPatient = _decimals(header.position or ())
    image.ImageOrientationPatient = _decimals(header.orientation or ())
    image.PixelSpacing = _decimals(header.spacing or ())
    if header.thickness:
        image.SliceThickness = DSfloat(header.thickness, auto_format=True)
    return image


def _of_frames(path: Path, shared: Dataset) -> Dataset:
    """Give the data set of a file of several frames, without its pixels."""
    image = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    image.update(shared)
    return image


def _decimals(values: Sequence[float]) -> list[Any]:
    return [DSfloat(value, auto_format=True) for value in values]
