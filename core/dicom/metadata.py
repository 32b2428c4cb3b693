"""What a DICOM file says of its scan, with everything that may name a person left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.datadict import dictionary_description, keyword_for_tag, tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.uid import UID

from core.dicom.elements import HEAD_BYTES, is_dicom
from core.errors import DicomSeriesError

MAX_VALUE_CHARS: Final = 64

SHOWN: Final[dict[str, tuple[str, ...]]] = {
    "Scan": (
        "Modality", "ImageType", "SOPClassUID", "BodyPartExamined", "PatientPosition",
        "ConvolutionKernel", "KVP", "XRayTubeCurrent", "Exposure", "ExposureTime",
        "GantryDetectorTilt", "SpiralPitchFactor", "DataCollectionDiameter",
        "ReconstructionDiameter",
    ),
    "Geometry": (
        "InstanceNumber", "Rows", "Columns", "PixelSpacing", "SliceThickness",
        "SpacingBetweenSlices", "ImagePositionPatient", "ImageOrientationPatient",
        "SliceLocation",
    ),
    "Pixels": (
        "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
        "PixelRepresentation", "RescaleIntercept", "RescaleSlope", "RescaleType",
        "PixelPaddingValue", "WindowCenter", "WindowWidth", "LossyImageCompression",
    ),
}  # fmt: skip
"""Elements that are shown, by keyword.

A list of what is shown, not of what is hidden: an element that nobody thought of stays hidden. All
hold numbers or codes; free text (descriptions, comments, names, dates, addresses) and private
elements can name a person (DICOM PS3.15, Annex E) and are never shown.
"""

_CODE_VRS: Final = frozenset({"CS", "DS", "IS", "US", "SS", "UI", "FD", "FL", "SH", "UL", "SL"})


@dataclass(frozen=True, slots=True)
class Element:
    """One element that may be shown.

    Attributes:
        tag: As "0018,0060".
        name: From the DICOM dictionary.
        value: As text, cut off where it is long.
    """

    tag: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """The header of one file, without what may name a person.

    Attributes:
        groups: The elements that are there, by heading.
        hidden: Names of the standard elements that are not shown, without their values, sorted.
        private: Number of private elements, which are not shown either.
        transfer_syntax: Its name.
    """

    groups: dict[str, tuple[Element, ...]]
    hidden: tuple[str, ...]
    private: int
    transfer_syntax: str


def read_metadata(path: Path) -> FileMetadata:
    """Read the header of one DICOM file.

    Raises:
        DicomSeriesError: The file is not there or is no DICOM.
    """
    try:
        with path.open("rb") as stream:
            if not is_dicom(stream.read(HEAD_BYTES)):
                raise DicomSeriesError(path, "is no DICOM file", "choose another study")
        # A file without preamble is read only by force.
        with pydicom.dcmread(path, stop_before_pixels=True, force=True) as found:
            return _described(found)
    except OSError as error:
        raise DicomSeriesError(
            path, f"cannot be opened ({error.strerror})", "check that it is there"
        ) from error
    except DicomSeriesError:
        raise
    except Exception as error:
        # A damaged element fails wherever pydicom meets it, in many ways.
        raise DicomSeriesError(
            path, "its DICOM header is broken", "copy the file again from its source"
        ) from error


def _described(found: pydicom.Dataset) -> FileMetadata:
    shown = {name for names in SHOWN.values() for name in names}
    tags = list(found.keys())
    hidden = {
        _name(keyword_for_tag(tag))
        for tag in tags
        if not tag.is_private and keyword_for_tag(tag) not in shown
    }
    groups = {
        title: tuple(_element(found, keyword) for keyword in keywords if keyword in found)
        for title, keywords in SHOWN.items()
    }
    syntax: Any = getattr(getattr(found, "file_meta", None), "TransferSyntaxUID", None)
    return FileMetadata(
        groups={title: elements for title, elements in groups.items() if elements},
        hidden=tuple(sorted(hidden)),
        private=sum(tag.is_private for tag in tags),
        transfer_syntax="unknown" if syntax is None else str(syntax.name),
    )


def _element(found: pydicom.Dataset, keyword: str) -> Element:
    element = found[keyword]
    tag = tag_for_keyword(keyword) or 0
    # A file may give an element another type than the dictionary: text could hide behind a code.
    value = _text(element.value) if element.VR in _CODE_VRS else "not shown"
    return Element(f"{tag >> 16:04X},{tag & 0xFFFF:04X}", _name(keyword), value)


def _text(value: Any) -> str:  # noqa: ANN401 - any element's value
    if value is None or value == "":
        return "empty"
    parts = list(value) if isinstance(value, list | MultiValue) else [value]
    text = " \\ ".join(_part(part) for part in parts)
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 1] + "…"


def _part(value: Any) -> str:  # noqa: ANN401 - one value of any element
    if isinstance(value, UID):
        return value.name
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _name(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    return "Unknown element" if tag is None else dictionary_description(tag)
