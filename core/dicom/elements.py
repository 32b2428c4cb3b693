"""Chosen elements of a DICOM file as raw bytes, and the place where its pixels start.

A plain file is walked element by element over its first bytes, which takes a sixth of the time a
general parser needs. Whatever is not plain (big endian, deflated, an unknown value
representation, elements out of order, a header beyond the first bytes) goes to pydicom.

A file may lack the preamble, the file meta group or the transfer syntax in it: old archives and
some exports write the bare data set. Its encoding then follows from the first element.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydicom import uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from core.dicom.element_walk import (
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED,
    NotPlainError,
    element_at,
    walk_elements,
)
from core.dicom.leading_elements import (
    STATED_CLASS,
    is_other_than_ct,
    leading_values,
    whole_value,
)
from core.errors import DicomSeriesError

HEAD_BYTES: Final = 1 << 16
"""Enough for the whole header of nearly every CT file of one image."""
LONG_HEAD_BYTES: Final = 16 << 20
"""Enough for the header of a file of many frames, a kilobyte or two each."""

_FIRST_PIXEL_TAG: Final = 0x7FE00008
_PIXEL_DATA: Final = 0x7FE00010
_META_GROUP: Final = b"\x02\0"
_TRANSFER_SYNTAX: Final = 0x00020010
_META_START: Final = 132
_MAX_INFLATED: Final = 96 << 20
_MAX_PARSED: Final = 128 << 20
"""Bytes of a file in which its header is looked for; pixels may lie behind them."""
_MAX_READS: Final = 100_000
"""Two or three an element or item; CT headers have a few hundred, crafted ones have millions."""
_BARE_ELEMENTS: Final = 3
"""Elements by which a file without preamble is recognised."""
_NOT_WALKED: Final = (uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
_MEND_COPY: Final = "copy the file again from its source"


@dataclass(frozen=True, slots=True)
class Elements:
    """What was asked of one file.

    Attributes:
        transfer_syntax: Its UID; where none is stated, the one that the first element fits.
        values: Raw bytes by tag, for the tags that are there; of sequences only the functional
            groups of frames.
        pixel_offset: Byte where the value of PixelData starts (after inflating, if deflated), or
            that of the frame; None without PixelData.
        pixel_length: Its length in bytes; None where undefined, as for encapsulated pixels.
        pixel_end: Byte after the last fragment of a compressed frame; None for a whole file.
        frame: Number of the frame, from 1; 0 for a whole file.
        flaw: Why the frames of the file cannot be told apart, "" otherwise.
    """

    transfer_syntax: str
    values: Mapping[int, bytes]
    pixel_offset: int | None
    pixel_length: int | None
    pixel_end: int | None = None
    frame: int = 0
    flaw: str = ""


def read_elements(path: Path, tags: Collection[BaseTag]) -> Elements | None:
    """Read the elements `tags` of one file; None where it is not a DICOM file.

    Raises:
        OSError: The file cannot be opened.
        DicomSeriesError: Its deflated content is damaged, or it is absurdly large.
        Exception: Whatever pydicom raises on a broken header.
    """
    with path.open("rb", buffering=0) as stream:
        head = stream.read(HEAD_BYTES)
        if not is_dicom(head):
            return None
        try:
            return _walk(head, tags)
        except (NotPlainError, struct.error, IndexError):
            head += stream.read(LONG_HEAD_BYTES)
        try:
            return _walk(head, tags)
        except (NotPlainError, struct.error, IndexError):
            return _general(path, head + stream.read(_MAX_PARSED), tags)


def is_dicom(head: bytes) -> bool:
    """Whether a file that starts with `head` is DICOM, with preamble or without."""
    return head[128:132] == b"DICM" or _is_bare(head)


def parse_elements(path: Path, content: bytes, tags: Collection[BaseTag]) -> Elements | None:
    """Do what `read_elements` does with a file's whole content; `path` is only for errors.

    Raises:
        DicomSeriesError: Its deflated content is damaged, or it is absurdly large.
        Exception: Whatever pydicom raises on a broken header.
    """
    if not is_dicom(content[:HEAD_BYTES]):
        return None
    try:
        return _walk(content, tags)
    except (NotPlainError, struct.error, IndexError):
        return _general(path, content, tags)


def _general(path: Path, content: bytes, tags: Collection[BaseTag]) -> Elements:
    """Read a file that is not plain; of one that is no CT only what it starts with.

    Contours, segments and directories can be longer than any parser should walk, and nobody needs
    them here.
    """
    syntax, values = leading_values(content, tags)
    if is_other_than_ct(values) and syntax not in _NOT_WALKED:
        return Elements(syntax, values, None, None)
    if syntax == uid.DeflatedExplicitVRLittleEndian and not values.keys() - {STATED_CLASS}:
        # Found in the first bytes: a bomb need not be inflated to be refused.
        raise DicomSeriesError(path, "its deflated content is broken", _MEND_COPY)
    elements = _parse(path, content, tags)
    return replace(elements, values=values | dict(elements.values))


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
    if syntax in _NOT_WALKED:
        raise NotPlainError
    return _walk_data_set(head, start, syntax, tags)


def _walk_data_set(head: bytes, start: int, syntax: str, tags: Collection[BaseTag]) -> Elements:
    values: dict[int, bytes] = {}
    explicit = syntax != uid.ImplicitVRLittleEndian
    end = walk_elements(head, start, explicit, tags, values, _PIXEL_DATA)
    tag, length, offset = element_at(head, end, explicit)
    if tag != _PIXEL_DATA:
        raise NotPlainError
    return Elements(syntax, values, offset, None if length == UNDEFINED else length)


def _file_meta(head: bytes) -> tuple[str, int]:
    """Return transfer syntax and start of the data set, without trust in the group's length."""
    syntax, position = "", _META_START if head[128:132] == b"DICM" else 0
    while head.startswith(_META_GROUP, position):
        tag, length, start = element_at(head, position, True)
        position = start + length
        if tag == _TRANSFER_SYNTAX:
            syntax = head[start:position].decode("ascii", "replace").strip(" \0")
    return syntax or _encoding_at(head, position), position


def _encoding_at(head: bytes, position: int) -> str:
    """Return the transfer syntax of uncompressed data that its first element fits."""
    if head[position + 4 : position + 6] not in LONG_VRS | SHORT_VRS:
        return uid.ImplicitVRLittleEndian
    # The first group is 0008: its low byte comes first, or its high byte.
    is_big = head[position] == 0 and head[position + 1] != 0
    return uid.ExplicitVRBigEndian if is_big else uid.ExplicitVRLittleEndian


def _is_bare(head: bytes) -> bool:
    """Whether a file without preamble starts with elements of group 2 or 8 in ascending order."""
    if head[:3] == b"\0\x08\0":
        return head[4:6] in SHORT_VRS
    if head[:2] not in (_META_GROUP, b"\x08\0"):
        return False
    explicit = head[4:6] in LONG_VRS | SHORT_VRS
    position, last = 0, -1
    try:
        for _ in range(_BARE_ELEMENTS):
            tag, length, start = element_at(head, position, explicit)
            if tag <= last or start + length > len(head):
                return False
            position, last = start + length, tag
    except (NotPlainError, struct.error, IndexError):
        return False
    return True


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


def _parse(path: Path, content: bytes, tags: Collection[BaseTag]) -> Elements:
    """Read any DICOM file through pydicom."""
    syntax, start = _file_meta(content)
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        content, start = inflate(path, content), 0
        try:
            return _walk_data_set(content, start, syntax, tags)
        except (NotPlainError, struct.error, IndexError):
            pass
    data = _BoundedReads(path, content)
    data.seek(start)
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
    return Elements(syntax, values, offset, None if length == UNDEFINED else length)


def _raw(dataset: Dataset, tag: BaseTag) -> bytes | None:
    element = dataset.get_item(tag) if tag in dataset else None
    return whole_value(element) if isinstance(element, RawDataElement) else None
