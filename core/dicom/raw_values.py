"""Numbers and short codes of a data set from its raw bytes, and the elements that are looked at."""

from __future__ import annotations

import math
import struct
from typing import Final

from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRBigEndian

from core.dicom.elements import Elements
from core.dicom.scan_facts import FACT_KEYWORDS

_KEYWORDS: Final = (
    "MediaStorageSOPClassUID", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID",
    "SeriesInstanceUID", "Modality",
    "ImageType", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "SliceLocation", "PixelSpacing", "SliceThickness", "Rows", "Columns",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept",
    "LossyImageCompression", *FACT_KEYWORDS,
)  # fmt: skip
_TAGS: Final[dict[str, BaseTag]] = {keyword: Tag(keyword) for keyword in _KEYWORDS}
HEADER_TAGS: Final = frozenset(_TAGS.values())
"""The elements that are ever looked at in a file of one image."""


class RawValues:
    """Numbers and short codes of a data set, from its raw bytes; None where absent or unusable."""

    def __init__(self, elements: Elements) -> None:
        self._values = elements.values
        self._order = ">" if elements.transfer_syntax == ExplicitVRBigEndian else "<"

    def raw(self, keyword: str) -> bytes:
        """Return the bytes of an element, b"" where absent."""
        return self._values.get(_TAGS[keyword], b"")

    def text(self, keyword: str) -> str:
        """Return a code without its padding, "" where absent."""
        return self.raw(keyword).decode("ascii", errors="replace").strip(" \0")

    def numbers(self, keyword: str) -> tuple[float, ...] | None:
        """Return finite decimal-string values; NaN passes, so that it can be named as a flaw."""
        try:
            return tuple(float(part) for part in self.text(keyword).split("\\"))
        except ValueError:
            return None

    def number(self, keyword: str) -> float | None:
        """Return the first decimal-string value, which may be NaN."""
        values = self.numbers(keyword)
        return values[0] if values else None

    def vector(self, keyword: str, size: int) -> tuple[float, ...] | None:
        """Return so many finite values."""
        values = self.numbers(keyword)
        if values is None or len(values) != size or not all(map(math.isfinite, values)):
            return None
        return values

    def uint(self, keyword: str) -> int | None:
        """Return an unsigned 16-bit integer."""
        value = self.raw(keyword)
        return struct.unpack(f"{self._order}H", value[:2])[0] if len(value) >= 2 else None
