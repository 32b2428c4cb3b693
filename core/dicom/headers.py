"""The facts of one DICOM file that are needed to place and decode its pixels.

Only the elements listed in `core.dicom.raw_values` are ever looked at, and as raw bytes: a
malformed private element or a value representation that breaks the standard elsewhere in the file
cannot break the reading, and no patient text is ever decoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from core.dicom.elements import HEAD_BYTES, Elements, parse_elements, read_elements
from core.dicom.leading_elements import CT_CLASSES, leading_values
from core.dicom.multiframe import FRAME_TAGS, has_frames, split_frames
from core.dicom.raw_values import HEADER_TAGS, RawValues
from core.dicom.scan_facts import NO_FACTS, ScanFacts, scan_facts
from core.errors import DicomSeriesError

MAX_EDGE: Final = 4096
"""Largest Rows or Columns that is believed; CT scanners write 512 to 2048."""

_TAGS: Final = HEADER_TAGS | FRAME_TAGS
_MEND_FILE: Final = "remove the file or export the series again"
_MEND_COPY: Final = "copy the file again from its source or remove it"


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
        stream_bits: Bits of a value by the compressed stream, where it states them; None for
            `bits_stored`.
    """

    bits_allocated: int
    bits_stored: int
    signed: bool
    inverted: bool
    slope: float
    intercept: float
    padding: tuple[int, int] | None = None
    stream_bits: int | None = None


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One slice, a file of one image or a frame of several: its place and its pixels.

    Attributes:
        path: The file.
        series_uid: SeriesInstanceUID, "" where absent.
        modality: Modality, or what the class of the object says; "" where neither is known.
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
        remedy: What to do about the flaw.
        scan: What tells volumes apart.
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
    remedy: str = _MEND_FILE
    scan: ScanFacts = NO_FACTS

    @property
    def key(self) -> tuple[Path, int]:
        """What tells the slice from the others: its file and its frame."""
        return self.path, self.frame


def read_headers(path: Path) -> tuple[SliceHeader, ...]:
    """Read the header of every slice in one file; none where it is not a DICOM file.

    A file that is damaged or cannot be opened has a header with a flaw, and what could be read.
    """
    return _guarded(path, lambda: read_elements(path, _TAGS), lambda: path.open("rb"))


def headers_of(path: Path, content: bytes) -> tuple[SliceHeader, ...]:
    """Do what `read_headers` does with the whole content of the file `path`, without reading it."""
    return _guarded(path, lambda: parse_elements(path, content, _TAGS), lambda: BytesIO(content))


def unopened_header(path: Path, error: OSError) -> SliceHeader:
    """Return the header of a file that the system does not open."""
    return replace(
        _header(path, Elements("", {}, None, None)),
        flaw=f"it cannot be opened ({error.strerror})",
        remedy="check its permissions or remove it",
    )


def _guarded(
    path: Path, read: Callable[[], Elements | None], again: Callable[[], BinaryIO]
) -> tuple[SliceHeader, ...]:
    flaw = "its DICOM header is broken"
    try:
        elements = read()
        return () if elements is None else _slices(path, elements, again)
    except DicomSeriesError as error:
        flaw = error.problem
    except Exception as error:  # noqa: BLE001 - a parser fails on damage in many ways
        # A parser raises OSError as well, but with words instead of a number.
        if isinstance(error, OSError) and error.errno is not None:
            return (unopened_header(path, error),)
    try:
        with again() as stream:
            syntax, values = leading_values(stream.read(HEAD_BYTES), _TAGS)
    except OSError as error:
        return (unopened_header(path, error),)
    header = _header(path, Elements(syntax, values, None, None))
    return (replace(header, flaw=flaw, remedy=_MEND_COPY),)


def _slices(
    path: Path, elements: Elements, again: Callable[[], BinaryIO]
) -> tuple[SliceHeader, ...]:
    if not has_frames(elements) or _modality(RawValues(elements)) != "CT":
        return (_header(path, elements),)
    with again() as stream:
        frames = split_frames(elements, stream, _TAGS)
    return tuple(_header(path, frame) for frame in frames)


def _header(path: Path, elements: Elements) -> SliceHeader:
    raw = RawValues(elements)
    rows, columns = raw.uint("Rows") or 0, raw.uint("Columns") or 0
    number = raw.number("InstanceNumber")
    tilt = raw.number("GantryDetectorTilt")
    series_uid, modality = raw.text("SeriesInstanceUID"), _modality(raw)
    location = raw.number("SliceLocation")
    thickness = raw.number("SliceThickness")
    pixel_format, flaw = _pixel_format(raw)
    return SliceHeader(
        path=path,
        transfer_syntax=elements.transfer_syntax,
        sop_uid=raw.text("SOPInstanceUID"),
        study_uid=raw.text("StudyInstanceUID"),
        series_uid=series_uid,
        modality=modality,
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
        flaw=elements.flaw or _missing(elements, modality) or flaw or _size_flaw(rows, columns),
        pixel_end=elements.pixel_end,
        frame=elements.frame,
        lossy={"00": False, "01": True}.get(raw.text("LossyImageCompression")),
        scan=scan_facts(raw.raw, has_series_uid=bool(series_uid)),
    )


def _modality(raw: RawValues) -> str:
    if stated := raw.text("Modality"):
        return stated
    sop_class = raw.text("SOPClassUID") or raw.text("MediaStorageSOPClassUID")
    if not sop_class:
        return ""
    return "CT" if sop_class in CT_CLASSES else "OTHER"


def _missing(elements: Elements, modality: str) -> str:
    if not modality:
        return "its header states no modality, as one that was cut off"
    return "it has no pixel data" if elements.pixel_offset is None else ""


def _size_flaw(rows: int, columns: int) -> str:
    if 0 < rows <= MAX_EDGE and 0 < columns <= MAX_EDGE:
        return ""
    return f"Rows × Columns is {rows} × {columns}, outside 1..{MAX_EDGE}"


def _pixel_format(raw: RawValues) -> tuple[PixelFormat | None, str]:
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
