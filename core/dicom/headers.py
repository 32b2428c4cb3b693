"""The facts of one DICOM file that are needed to place and decode its pixels.

Only the elements listed here are ever looked at, and as raw bytes: a malformed private element or
a value representation that breaks the standard elsewhere in the file cannot break the reading, and
no patient text is ever decoded.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    LegacyConvertedEnhancedCTImageStorage,
)

from core.dicom.elements import Elements, parse_elements, read_elements
from core.dicom.multiframe import FRAME_TAGS, has_frames, split_frames
from core.errors import DicomSeriesError

MAX_EDGE: Final = 4096
"""Largest Rows or Columns that is believed; CT scanners write 512 to 2048."""

_KEYWORDS: Final = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality",
    "ImageType", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "SliceLocation", "PixelSpacing", "SliceThickness", "GantryDetectorTilt", "Rows", "Columns",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept",
    "LossyImageCompression",
)  # fmt: skip
_TAGS: Final[dict[str, BaseTag]] = {keyword: Tag(keyword) for keyword in _KEYWORDS}
_TAG_SET: Final = frozenset(_TAGS.values()) | FRAME_TAGS


_CT_CLASSES: Final = frozenset(
    (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
)


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How the stored values of a file become HU; equal for most files of a series.

    Attributes:
        bits_allocated: 8 or 16.
        bits_stored: 1..bits_allocated.
        signed: PixelRepresentation 1.
        inverted: MONOCHROME1.
        slope: RescaleSlope, finite and not 0.
        intercept: RescaleIntercept, finite.
        padding: PixelPaddingValue and PixelPaddingRangeLimit as the 16 bits that stand in the
            file (equal where there is no limit), None without padding.
    """

    bits_allocated: int
    bits_stored: int
    signed: bool
    inverted: bool
    slope: float
    intercept: float
    padding: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One slice, a file of one image or a frame of several: its place and its pixels.

    Attributes:
        path: The file.
        series_uid: SeriesInstanceUID, "" where absent.
        position: ImagePositionPatient, LPS mm.
        orientation: ImageOrientationPatient, direction of a row, then of a column.
        spacing: PixelSpacing in mm, (between rows, between columns).
        instance_number: InstanceNumber, 0 where absent; of a frame its number in the file.
        pixel_offset: Byte where the value of PixelData starts (after inflating, if deflated), or
            the frame's part of it.
        pixel_length: Its length in bytes; None where undefined (encapsulated).
        pixel_end: Byte after the last fragment of a compressed frame; None for a file of one image.
        frame: Number of the frame, from 1; 0 for a file of one image.
        lossy: LossyImageCompression: True or False as stated, None where absent.
        format: None where the file does not state it in full; see `SliceHeader.flaw`.
        flaw: What keeps this file from being read as a CT slice, "" for nothing.
    """

    path: Path
    transfer_syntax: str
    sop_uid: str
    study_uid: str
    series_uid: str
    modality: str
    localizer: bool
    instance_number: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    slice_location: float | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    gantry_tilt: float
    rows: int
    columns: int
    pixel_offset: int | None
    pixel_length: int | None
    rescaled: bool
    format: PixelFormat | None
    flaw: str
    pixel_end: int | None = None
    frame: int = 0
    lossy: bool | None = None

    @property
    def key(self) -> tuple[Path, int]:
        """What tells the slice from the others: its file and its frame."""
        return self.path, self.frame


def read_headers(path: Path) -> tuple[SliceHeader, ...]:
    """Read the header of every slice in one file; none where it is not a DICOM file.

    Raises:
        DicomSeriesError: The file starts as DICOM but is broken, or it cannot be opened.
    """
    return _guarded(path, lambda: read_elements(path, _TAG_SET), lambda: path.open("rb"))


def headers_of(path: Path, content: bytes) -> tuple[SliceHeader, ...]:
    """Do what `read_headers` does with the whole content of the file `path`, without reading it.

    Raises:
        DicomSeriesError: The content starts as DICOM but is broken.
    """
    return _guarded(
        path, lambda: parse_elements(path, content, _TAG_SET), lambda: io.BytesIO(content)
    )


def _guarded(
    path: Path, read: Callable[[], Elements | None], again: Callable[[], BinaryIO]
) -> tuple[SliceHeader, ...]:
    try:
        elements = read()
        if elements is None:
            return ()
        if not has_frames(elements) or _modality(_RawValues(elements)) != "CT":
            return (_header(path, elements),)
        with again() as stream:
            frames = split_frames(elements, stream, _TAG_SET)
        return tuple(_header(path, frame) for frame in frames)
    except OSError as error:
        raise DicomSeriesError(
            path, f"cannot be opened ({error.strerror})", "check the file's permissions"
        ) from error
    except DicomSeriesError:
        raise
    except Exception as error:
        raise DicomSeriesError(
            path, "its DICOM header is broken", "copy the file again from its source"
        ) from error


class _RawValues:
    """Numbers and short codes of a data set, from its raw bytes; None where absent or unusable."""

    def __init__(self, elements: Elements) -> None:
        self._values = elements.values
        self._order = ">" if elements.transfer_syntax == ExplicitVRBigEndian else "<"

    def raw(self, keyword: str) -> bytes:
        return self._values.get(_TAGS[keyword], b"")

    def text(self, keyword: str) -> str:
        return self.raw(keyword).decode("ascii", errors="replace").strip(" \0")

    def numbers(self, keyword: str) -> tuple[float, ...] | None:
        """Return finite decimal-string values; NaN passes, so that it can be named as a flaw."""
        try:
            return tuple(float(part) for part in self.text(keyword).split("\\"))
        except ValueError:
            return None

    def number(self, keyword: str) -> float | None:
        values = self.numbers(keyword)
        return values[0] if values else None

    def vector(self, keyword: str, size: int) -> tuple[float, ...] | None:
        values = self.numbers(keyword)
        if values is None or len(values) != size or not all(map(math.isfinite, values)):
            return None
        return values

    def uint(self, keyword: str) -> int | None:
        value = self.raw(keyword)
        return struct.unpack(f"{self._order}H", value[:2])[0] if len(value) >= 2 else None


def _header(path: Path, elements: Elements) -> SliceHeader:
    raw = _RawValues(elements)
    rows, columns = raw.uint("Rows") or 0, raw.uint("Columns") or 0
    number = raw.number("InstanceNumber")
    tilt = raw.number("GantryDetectorTilt")
    location = raw.number("SliceLocation")
    thickness = raw.number("SliceThickness")
    pixel_format, flaw = _pixel_format(raw)
    return SliceHeader(
        path=path,
        transfer_syntax=elements.transfer_syntax,
        sop_uid=raw.text("SOPInstanceUID"),
        study_uid=raw.text("StudyInstanceUID"),
        series_uid=raw.text("SeriesInstanceUID"),
        modality=_modality(raw),
        localizer="LOCALIZER" in raw.text("ImageType").upper().split("\\"),
        instance_number=int(number) if number is not None and abs(number) < 1 << 31 else 0,
        position=raw.vector("ImagePositionPatient", 3),
        orientation=raw.vector("ImageOrientationPatient", 6),
        slice_location=location if location is not None and math.isfinite(location) else None,
        spacing=raw.vector("PixelSpacing", 2),
        thickness=thickness if thickness is not None and 0 < thickness < 1e3 else None,
        gantry_tilt=tilt if tilt is not None and math.isfinite(tilt) else 0.0,
        rows=rows,
        columns=columns,
        pixel_offset=elements.pixel_offset,
        pixel_length=elements.pixel_length,
        rescaled=bool(raw.raw("RescaleSlope") and raw.raw("RescaleIntercept")),
        format=pixel_format,
        flaw=elements.flaw or _pixels_flaw(elements) or flaw or _size_flaw(rows, columns),
        pixel_end=elements.pixel_end,
        frame=elements.frame,
        lossy={"00": False, "01": True}.get(raw.text("LossyImageCompression")),
    )


def _modality(raw: _RawValues) -> str:
    stated = raw.text("Modality")
    return stated or ("CT" if raw.text("SOPClassUID") in _CT_CLASSES else "")


def _pixels_flaw(elements: Elements) -> str:
    return "it has no pixel data" if elements.pixel_offset is None else ""


def _size_flaw(rows: int, columns: int) -> str:
    if 0 < rows <= MAX_EDGE and 0 < columns <= MAX_EDGE:
        return ""
    return f"Rows × Columns is {rows} × {columns}, outside 1..{MAX_EDGE}"


def _pixel_format(raw: _RawValues) -> tuple[PixelFormat | None, str]:
    photometric = raw.text("PhotometricInterpretation").upper()
    if (raw.uint("SamplesPerPixel") or 1) != 1 or not photometric.startswith("MONOCHROME"):
        known = photometric if photometric.replace("_", "").isalnum() else "unknown"
        return None, f"its pixels are {known[:16]}, not one grey value each"
    allocated = raw.uint("BitsAllocated") or 0
    stored = raw.uint("BitsStored") or allocated
    high_bit = raw.uint("HighBit")
    high_bit = stored - 1 if high_bit is None else high_bit
    if allocated not in (8, 16) or not 1 <= stored == high_bit + 1 <= allocated:
        return None, f"its pixels have {stored} of {allocated} bits, high bit {high_bit}"
    slope = raw.number("RescaleSlope") if raw.raw("RescaleSlope").strip() else 1.0
    intercept = raw.number("RescaleIntercept") if raw.raw("RescaleIntercept").strip() else 0.0
    if slope is None or intercept is None or not math.isfinite(slope) or slope == 0:
        return None, "RescaleSlope or RescaleIntercept is not a usable number"
    if not math.isfinite(intercept):
        return None, "RescaleIntercept is not a finite number"
    padding = raw.uint("PixelPaddingValue")
    limit = raw.uint("PixelPaddingRangeLimit")
    return PixelFormat(
        bits_allocated=allocated,
        bits_stored=stored,
        signed=raw.uint("PixelRepresentation") == 1,
        inverted=photometric == "MONOCHROME1",
        slope=slope,
        intercept=intercept,
        padding=None if padding is None else (padding, padding if limit is None else limit),
    ), ""
