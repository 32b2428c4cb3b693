"""Single-frame CT files become one enhanced (multi-frame) file, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedCTImageStorage, RLELossless

from tests.core.dicom.dicom_factory import SYNTAXES, encoded_frame

_OF_FILE = (
    "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "SamplesPerPixel",
    "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PixelPaddingValue", "PatientName", "PatientID",
)  # fmt: skip
MACROS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope", "RescaleType"),
    "CTAcquisitionDetailsSequence": ("GantryDetectorTilt",),
    "CTReconstructionSequence": ("ConvolutionKernel",),
}
"""Functional groups and the elements of a single-frame file that they hold."""
Table = Literal["none", "basic", "extended"]


def write_enhanced_ct(
    paths: Sequence[Path],
    out: Path,
    *,
    syntax: str = "explicit",
    shared: Sequence[str] = tuple(MACROS)[1:],
    table: Table = "basic",
    fragments: int = 1,
    undefined_lengths: bool = False,
    edit: Callable[[Dataset], Any] | None = None,
) -> Path:
    """Write single-frame files of one series as one file, a frame each in their order.

    Args:
        paths: From `write_ct_series` or like it.
        out: The file.
        syntax: A key of `SYNTAXES`.
        shared: Functional groups that all frames share, of `MACROS`; the others are per frame.
        table: Offset table of compressed frames.
        fragments: Fragments per compressed frame.
        undefined_lengths: Write sequences and items with delimiters instead of lengths.
        edit: Called with the data set just before it is written.
    """
    singles = [pydicom.dcmread(path) for path in paths]
    first, ds = singles[0], Dataset()
    for keyword in _OF_FILE:
        if keyword in first:
            ds[keyword] = first[keyword]
    ds.SOPClassUID = EnhancedCTImageStorage
    ds.SOPInstanceUID = f"{first.SOPInstanceUID}.1"[:64]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.InstanceNumber, ds.NumberOfFrames = 1, len(singles)
    ds.SharedFunctionalGroupsSequence = Items([_groups(first, shared)])
    own = [name for name in MACROS if name not in shared]
    ds.PerFrameFunctionalGroupsSequence = Items([_groups(single, own) for single in singles])
    if undefined_lengths:
        _undefined(ds)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    _set_frames(ds, np.stack([single.pixel_array for single in singles]), syntax, table, fragments)
    if edit is not None:
        edit(ds)
    out.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(out, enforce_file_format=True)
    return out


def frame_content(number: int, **values: Any) -> Dataset:
    """A Frame Content group, for `edit`."""
    content = Dataset()
    content.DimensionIndexValues = [1, number]
    for keyword, value in values.items():
        setattr(content, keyword, value)
    return content


def _groups(single: Dataset, names: Sequence[str]) -> Dataset:
    item = Dataset()
    for name in names:
        group = Dataset()
        for keyword in MACROS[name]:
            if keyword in single:
                group[keyword] = single[keyword]
        if len(group):
            setattr(item, name, Items([group]))
    frame_type = Dataset()
    frame_type.FrameType = single.ImageType
    if "PlanePositionSequence" in names:
        item.CTImageFrameTypeSequence = Items([frame_type])
        item.FrameContentSequence = Items([frame_content(1)])
        # Refers to another image: nothing in it is the frame's own.
        source = Dataset()
        source.ImagePositionPatient, source.Rows = [9.0, 9.0, 9.0], 3
        item.DerivationImageSequence = Items([source])
    return item


def _undefined(ds: Dataset) -> None:
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _undefined(item)


def _set_frames(ds: Dataset, stored: np.ndarray, syntax: str, table: Table, fragments: int) -> None:
    if syntax == "rle":
        ds.compress(RLELossless, stored, generate_instance_uid=False)
        return
    if not SYNTAXES[syntax].is_encapsulated:
        ds.PixelData = stored.astype(">u2" if syntax == "big-endian" else "<u2").tobytes()
        ds["PixelData"].VR = "OW"
        return
    frames = [encoded_frame(image, syntax, ds.BitsStored) for image in stored]
    if table == "extended":
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(
            frames
        )
    else:
        ds.PixelData = encapsulate(frames, fragments_per_frame=fragments, has_bot=table == "basic")
    ds["PixelData"].VR = "OB"
