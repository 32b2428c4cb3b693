"""Chosen elements of a DICOM file as raw bytes, and the place where its pixels start.

A plain file is walked element by element over its first bytes, which takes a sixth of the time a
general parser needs. Whatever is not plain (big endian, deflated, an unknown value
representation, elements out of order, a header beyond the first bytes) goes to pydicom.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from core.errors import DicomSeriesError

HEAD_BYTES: Final = 1 << 16
"""Enough for the whole header of nearly every CT file."""

_FIRST_PIXEL_TAG: Final = 0x7FE00008
_PIXEL_DATA: Final = 0x7FE00010
_META_GROUP: Final = b"\x02\0"
_TRANSFER_SYNTAX: Final = 0x00020010
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = b"\xfe\xff\x0d\xe0"
_SEQUENCE_END: Final = 0xFFFEE0DD
_UNDEFINED: Final = 0xFFFFFFFF
_META_START: Final = 132
_MAX_INFLATED: Final = 96 << 20
_MAX_READS: Final = 100_000
"""Two or three an element or item; CT headers have a few hundred, crafted ones have millions."""
_MEND_COPY: Final = "copy the file again from its source"
_LONG_VRS: Final = frozenset(
    (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV")
)
_SHORT_VRS: Final = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN")
) | frozenset((b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"))


@dataclass(frozen=True, slots=True)
class Elements:
    """What was asked of one file.

    Attributes:
        transfer_syntax: Its UID, "" where none is stated.
        values: Raw bytes by tag, for the tags that are there and not sequences.
        pixel_offset: Byte where the value of PixelData starts (after inflating, if deflated);
            None without PixelData.
        pixel_length: Its length in bytes; None where undefined, as for encapsulated pixels.
    """

    transfer_syntax: str
    values: Mapping[int, bytes]
    pixel_offset: int | None
    pixel_length: int | None


class _NotPlainError(Exception):
    """The quick walk meets something that only the general parser knows."""


def read_elements(path: Path, tags: Collection[BaseTag]) -> Elements | None:
    """Read the elements `tags` of one file; None where it is not a DICOM file.

    Raises:
        OSError: The file cannot be opened.
        DicomSeriesError: Its deflated content is damaged, or it is absurdly large.
        Exception: Whatever pydicom raises on a broken header.
    """
    with path.open("rb", buffering=0) as stream:
        head = stream.read(HEAD_BYTES)
        if head[128:132] != b"DICM":
            return None
        try:
            return _walk(head, tags)
        except (_NotPlainError, struct.error, IndexError):
            stream.seek(0)
            return _parse(path, stream, tags)


def parse_elements(path: Path, content: bytes, tags: Collection[BaseTag]) -> Elements | None:
    """Do what `read_elements` does with a file's whole content; `path` is only for errors.

    Raises:
        DicomSeriesError: Its deflated content is damaged, or it is absurdly large.
        Exception: Whatever pydicom raises on a broken header.
    """
    if content[128:132] != b"DICM":
        return None
    try:
        return _walk(content, tags)
    except (_NotPlainError, struct.error, IndexError):
        return _parse(path, io.BytesIO(content), tags)


def inflate(path: Path, content: bytes) -> bytes:
    """Return the data set of a deflated file, inflated, without preamble and file meta.

    Raises:
        DicomSeriesError: The stream is broken or grows beyond any CT slice.
    """
    _, start = _file_meta(content)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(content[start:], _MAX_INFLATED)
    except zlib.error as error:
        raise DicomSeriesError(path, "its deflated content is broken", _MEND_COPY) from error
    if inflater.unconsumed_tail:
        raise DicomSeriesError(
            path, "its deflated content is larger than any CT slice", "remove the file"
        )
    return plain


def _walk(head: bytes, tags: Collection[BaseTag]) -> Elements:
    """Read a plain little-endian file from its first bytes."""
    syntax, start = _file_meta(head)
    if syntax in (uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRBigEndian):
        raise _NotPlainError
    values: dict[int, bytes] = {}
    explicit = syntax != uid.ImplicitVRLittleEndian
    end = _walk_elements(head, start, explicit, tags, values, _PIXEL_DATA)
    tag, length, offset = _element(head, end, explicit)
    if tag != _PIXEL_DATA:
        raise _NotPlainError
    return Elements(syntax, values, offset, None if length == _UNDEFINED else length)


def _file_meta(head: bytes) -> tuple[str, int]:
    """Return transfer syntax and start of the data set, without trust in the group's length."""
    syntax, position = "", _META_START
    while head.startswith(_META_GROUP, position):
        tag, length, start = _element(head, position, True)
        position = start + length
        if tag == _TRANSFER_SYNTAX:
            syntax = head[start:position].decode("ascii", "replace").strip(" \0")
    return syntax, position


def _walk_elements(
    head: bytes,
    position: int,
    explicit: bool,
    tags: Collection[int],
    values: dict[int, bytes],
    stop: int,
) -> int:
    """Collect `tags` into `values` and return where the first element at or above `stop` is."""
    last = -1
    while True:
        tag, length, start = _element(head, position, explicit)
        if tag >= stop:
            return position
        if tag <= last:
            raise _NotPlainError
        last = tag
        position = _end(head, length, start, explicit)
        if tag in tags and length != _UNDEFINED:
            values[tag] = head[start:position]


def _end(head: bytes, length: int, start: int, explicit: bool) -> int:
    """Return where an element's value ends."""
    if length == _UNDEFINED:
        return _sequence_end(head, start, explicit)
    if start + length > len(head):
        raise _NotPlainError
    return start + length


def _sequence_end(head: bytes, position: int, explicit: bool) -> int:
    """Return where a sequence of undefined length ends (PS3.5 section 7.5)."""
    while True:
        group, element, length = struct.unpack_from("<HHL", head, position)
        tag = group << 16 | element
        position += 8
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise _NotPlainError
        if length != _UNDEFINED:
            position += length
            continue
        while head[position : position + 4] != _ITEM_END:
            _, inner, start = _element(head, position, explicit)
            position = _end(head, inner, start, explicit)
        position += 8


def _element(head: bytes, position: int, explicit: bool) -> tuple[int, int, int]:
    """Return tag, length and start of the value of the element at `position`."""
    if not explicit:
        group, element, length = struct.unpack_from("<HHL", head, position)
        return group << 16 | element, length, position + 8
    group, element, vr, length = struct.unpack_from("<HH2sH", head, position)
    if vr in _SHORT_VRS:
        return group << 16 | element, length, position + 8
    if vr in _LONG_VRS:
        (length,) = struct.unpack_from("<L", head, position + 8)
        return group << 16 | element, length, position + 12
    raise _NotPlainError


class _BoundedReads(io.BytesIO):
    """The content of a file, which refuses a parser that would be at it for minutes."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(content)
        self._path = path
        self._left = _MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise DicomSeriesError(
                self._path, "its header has more elements than any CT slice", _MEND_COPY
            )
        return super().read(size)


def _parse(path: Path, stream: BinaryIO, tags: Collection[BaseTag]) -> Elements:
    """Read any DICOM file through pydicom."""
    content = stream.read()
    syntax, start = _file_meta(content)
    deflated = syntax == uid.DeflatedExplicitVRLittleEndian
    data = _BoundedReads(path, inflate(path, content) if deflated else content)
    data.seek(0 if deflated else start)
    pixels: list[tuple[int, int, int]] = []

    def at_pixels(tag: BaseTag, _vr: str | None, length: int) -> bool:
        if tag >= _FIRST_PIXEL_TAG:
            pixels.append((int(tag), data.tell(), length))
            return True
        return False

    # Unlike dcmread this converts no value; a warning about a damaged one would quote its text.
    dataset = read_dataset(
        data,
        is_implicit_VR=syntax == uid.ImplicitVRLittleEndian,
        is_little_endian=syntax != uid.ExplicitVRBigEndian,
        stop_when=at_pixels,
        specific_tags=list(tags),
    )
    values = {int(tag): raw for tag in tags if (raw := _raw(dataset, tag)) is not None}
    if not pixels or pixels[-1][0] != _PIXEL_DATA:
        return Elements(syntax, values, None, None)
    _, offset, length = pixels[-1]
    return Elements(syntax, values, offset, None if length == _UNDEFINED else length)


def _raw(dataset: Dataset, tag: BaseTag) -> bytes | None:
    value = dataset.get_item(tag).value if tag in dataset else None
    return value if isinstance(value, bytes) else None
