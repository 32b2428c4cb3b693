"""The elements of a plain little-endian data set, walked as raw bytes without a parser."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import Final

from pydicom.tag import Tag

UNDEFINED: Final = 0xFFFFFFFF
SHARED_GROUPS: Final = 0x52009229
FRAME_GROUPS: Final = frozenset((SHARED_GROUPS, 0x52009230))
"""Shared and Per-Frame Functional Groups Sequence, the only sequences whose bytes are kept."""

_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = b"\xfe\xff\x0d\xe0"
_SEQUENCE_END: Final = 0xFFFEE0DD
LONG_VRS: Final = frozenset(
    (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV")
)
SHORT_VRS: Final = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN")
) | frozenset((b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"))

_MACROS: Final = frozenset(
    int(Tag(keyword))
    for keyword in (
        "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence",
        "PixelValueTransformationSequence", "FrameContentSequence", "CTImageFrameTypeSequence",
        "CTAcquisitionTypeSequence", "CTAcquisitionDetailsSequence", "CTReconstructionSequence",
        "CTXRayDetailsSequence", "CTExposureSequence", "CTPositionSequence", "CTGeometrySequence",
        "UnassignedSharedConvertedAttributesSequence",
        "UnassignedPerFrameConvertedAttributesSequence",
    )
)  # fmt: skip
"""Functional groups with what differs between frames; the others refer to other images."""


class NotPlainError(Exception):
    """The walk meets something that only the general parser knows."""


def walk_elements(
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
        tag, length, start = element_at(head, position, explicit)
        if tag >= stop:
            return position
        if tag <= last:
            raise NotPlainError
        last = tag
        position = _end(head, length, start, explicit)
        if tag in tags and (length != UNDEFINED or tag in FRAME_GROUPS):
            values[tag] = head[start:position]


def _end(head: bytes, length: int, start: int, explicit: bool) -> int:
    """Return where an element's value ends."""
    if length == UNDEFINED:
        return _sequence_end(head, start, explicit)
    if start + length > len(head):
        raise NotPlainError
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
            raise NotPlainError
        if length != UNDEFINED:
            position += length
            continue
        position = _item_end(head, position, explicit)


def _item_end(head: bytes, position: int, explicit: bool) -> int:
    """Return where an item of undefined length ends, behind its delimiter."""
    while head[position : position + 4] != _ITEM_END:
        _, inner, start = element_at(head, position, explicit)
        position = _end(head, inner, start, explicit)
    return position + 8


def element_at(head: bytes, position: int, explicit: bool) -> tuple[int, int, int]:
    """Return tag, length and start of the value of the element at `position`.

    Args:
        head: Bytes of a data set.
        position: Where the element starts.
        explicit: Whether value representations are stated.

    Raises:
        NotPlainError: The value representation is unknown.
        struct.error: `head` ends before.
    """
    if not explicit:
        group, element, length = struct.unpack_from("<HHL", head, position)
        return group << 16 | element, length, position + 8
    group, element, vr, length = struct.unpack_from("<HH2sH", head, position)
    if vr in SHORT_VRS:
        return group << 16 | element, length, position + 8
    if vr in LONG_VRS:
        (length,) = struct.unpack_from("<L", head, position + 8)
        return group << 16 | element, length, position + 12
    raise NotPlainError


def sequence_items(sequence: bytes, explicit: bool) -> Iterator[bytes]:
    """Yield the items of a sequence, each as the bytes of its elements.

    Args:
        sequence: The sequence's value, with its delimiter where its length is undefined.
        explicit: Whether value representations are stated.

    Raises:
        NotPlainError: The sequence or an item of it is damaged.
        struct.error: It is cut off.
    """
    position = 0
    while position < len(sequence):
        tag, length, position = element_at(sequence, position, False)
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM:
            raise NotPlainError
        if length == UNDEFINED:
            start, position = position, _item_end(sequence, position, explicit)
            yield sequence[start : position - 8]
            continue
        if position + length > len(sequence):
            raise NotPlainError
        yield sequence[position : position + length]
        position += length


def grouped_values(item: bytes, explicit: bool, tags: Collection[int]) -> dict[int, bytes]:
    """Return the raw values of `tags` in the functional groups of one frame, by tag.

    Args:
        item: An item of one of `FRAME_GROUPS`, from `sequence_items`.
        explicit: Whether value representations are stated.
        tags: Elements to collect.

    Raises:
        NotPlainError: A group is damaged.
        struct.error: It is cut off.
    """
    values: dict[int, bytes] = {}
    for macro, content in _elements(item, explicit):
        if macro in _MACROS:
            for group in sequence_items(content, explicit):
                values |= {tag: raw for tag, raw in _elements(group, explicit) if tag in tags}
    return values


def _elements(content: bytes, explicit: bool) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(content):
        tag, length, start = element_at(content, position, explicit)
        position = _end(content, length, start, explicit)
        yield tag, content[start:position]
