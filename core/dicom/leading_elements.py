"""The first elements of a DICOM file that is damaged, or too long to be walked."""

from __future__ import annotations

import io
import zlib
from collections.abc import Collection, Iterator
from typing import Final

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
)

from core.dicom.element_walk import LONG_VRS, SHORT_VRS

CT_CLASSES: Final = frozenset(
    (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
)
STATED_CLASS: Final = 0x00020002
"""MediaStorageSOPClassUID: the class of the object, in the group before the data set."""

_TRANSFER_SYNTAX: Final = 0x00020010
_CLASS: Final = 0x00080016
_MODALITY: Final = 0x00080060
_DATA_SET: Final = 0x00030000
_LAST: Final = 0x00290000
"""Nothing that is wanted stands at or behind this tag, but contours and frames do."""
_META_START: Final = 132
_UNDEFINED: Final = 0xFFFFFFFF
_HEAD_BYTES: Final = 1 << 16


def leading_values(content: bytes, tags: Collection[BaseTag]) -> tuple[str, dict[int, bytes]]:
    """Return the transfer syntax and the raw values of the elements before the first fault.

    Args:
        content: The file, or its first bytes.
        tags: The elements that are wanted, among them perhaps `STATED_CLASS`.
    """
    data = content[:_HEAD_BYTES]
    start, meta = _values(data, _META_START if data[128:132] == b"DICM" else 0, "", _DATA_SET)
    syntax = _text(meta.get(_TRANSFER_SYNTAX, b""))
    if not syntax and data[start + 4 : start + 6] not in LONG_VRS | SHORT_VRS:
        syntax = str(ImplicitVRLittleEndian)
    if syntax == DeflatedExplicitVRLittleEndian:
        try:
            start, data = 0, zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], 1 << 16)
        except zlib.error:
            data = b""
    found = meta | _values(data, start, syntax, _LAST)[1]
    return syntax, {tag: value for tag, value in found.items() if tag in tags}


def is_other_than_ct(values: dict[int, bytes]) -> bool:
    """Whether the elements that a file starts with say that it is no CT image."""
    modality = _text(values.get(_MODALITY, b""))
    stated = _text(values.get(_CLASS, b"")) or _text(values.get(STATED_CLASS, b""))
    return modality != "CT" if modality else bool(stated) and stated not in CT_CLASSES


def whole_value(element: RawDataElement) -> bytes | None:
    """Return an element's raw value; None where it has none or the file ends within it."""
    value = element.value
    return value if value is not None and element.length in (len(value), _UNDEFINED) else None


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip(" \0")


def _values(data: bytes, start: int, syntax: str, stop: int) -> tuple[int, dict[int, bytes]]:
    """Return where the walk ended and the values that it met, up to the first fault."""
    stream = io.BytesIO(data)
    stream.seek(start)
    values: dict[int, bytes] = {}
    try:
        for element in _elements(stream, syntax, stop):
            start = stream.tell()
            if isinstance(element, RawDataElement) and (value := whole_value(element)) is not None:
                values[int(element.tag)] = value
    except Exception:  # noqa: BLE001 - a damaged file fails in as many ways as there are
        return start, values
    return start, values


def _elements(stream: io.BytesIO, syntax: str, stop: int) -> Iterator[RawDataElement | DataElement]:
    return data_element_generator(
        stream,
        is_implicit_VR=syntax == ImplicitVRLittleEndian,
        is_little_endian=syntax != ExplicitVRBigEndian,
        stop_when=lambda tag, _vr, _length: tag >= stop,
    )
