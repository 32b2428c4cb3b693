"""A file of several frames becomes slices: what each frame is, and where its pixels are.

Enhanced CT (PS3.3 A.38) and what is converted to it hold a whole stack in one file. What differs
between frames is in functional groups, one item per frame, over those that all frames share. Here
they are laid over the file's own elements, so that each frame reads like a file of one image.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO, Final

from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from core.dicom.element_walk import (
    FRAME_GROUPS,
    SHARED_GROUPS,
    NotPlainError,
    grouped_values,
    sequence_items,
)
from core.dicom.elements import Elements

MAX_FRAMES: Final = 10_000
"""Most frames of a file that are believed; 0.3 mm slices of a whole body are 6,000."""

_OF_FILE: Final = frozenset(
    Tag(keyword)
    for keyword in (
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality",
        "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames",
        "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    )
)  # fmt: skip
"""Elements that are the same for every frame, whatever a group holds."""
_FRAME_TYPE, _IMAGE_TYPE = Tag("FrameType"), Tag("ImageType")
_STACK, _FRAME_ACQUISITION = Tag("StackID"), Tag("FrameAcquisitionNumber")
_ACQUISITION: Final = Tag("AcquisitionNumber")
_INSTANCE_NUMBER: Final = Tag("InstanceNumber")
_OFFSET: Final = Tag("ConcatenationFrameOffsetNumber")
_FRAMES: Final = Tag("NumberOfFrames")
_ROWS, _COLUMNS, _BITS = Tag("Rows"), Tag("Columns"), Tag("BitsAllocated")
FRAME_TAGS: Final = frozenset(
    (
        *map(BaseTag, FRAME_GROUPS), _FRAME_TYPE, _STACK, _FRAME_ACQUISITION, _OFFSET, _FRAMES,
    )
)  # fmt: skip
"""Elements that `split_frames` reads in addition to those of a file of one image."""

_MAX_FRAGMENTS: Final = 16 * MAX_FRAMES
_ITEM: Final = b"\xfe\xff\0\xe0"
_STARTS: Final = (b"\xff\xd8", b"\xff\x4f", b"\0\0\0\x0cjP")
"""First bytes of a JPEG stream, a JPEG 2000 codestream and a JP2 file."""


class FramesError(ValueError):
    """Frames that cannot be told apart; the message is a clause for the user."""


def has_frames(elements: Elements) -> bool:
    """Whether a file holds several frames, or one that is described like several."""
    return _frame_count(elements) > 1 or any(tag in elements.values for tag in FRAME_GROUPS)


def split_frames(
    elements: Elements, stream: BinaryIO, tags: Collection[int]
) -> tuple[Elements, ...]:
    """Return the elements of each frame of a file, as if it were a file of its own.

    InstanceNumber is the number of the frame, from 1, counted through the parts of a concatenation.

    Args:
        elements: Of the file, for which `has_frames` is true.
        stream: The file.
        tags: Elements to look for in the functional groups.

    Returns:
        One per frame; a single one with its `flaw` where the frames cannot be told apart.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        groups = _groups(elements, frozenset(tags) - _OF_FILE)
        spans = _spans(elements, len(groups), stream)
    except FramesError as error:
        return (replace(elements, flaw=str(error)),)
    except (NotPlainError, struct.error, IndexError, RecursionError):
        return (replace(elements, flaw="the functional groups of its frames are damaged"),)
    own = {tag: raw for tag, raw in elements.values.items() if tag not in FRAME_GROUPS}
    offset = _number(own, _OFFSET)
    frames: list[Elements] = []
    for number, (group, (start, length, end)) in enumerate(zip(groups, spans, strict=True), 1):
        values = own | {_INSTANCE_NUMBER: str(offset + number).encode()} | group
        frames.append(
            replace(
                elements, values=values, pixel_offset=start, pixel_length=length, pixel_end=end,
                frame=number,
            )
        )  # fmt: skip
    return tuple(frames)


def _frame_count(elements: Elements) -> int:
    text = elements.values.get(_FRAMES, b"").decode("ascii", "replace").strip(" \0")
    return int(text) if text.isdigit() and len(text) < 10 else 1


def _number(values: Mapping[int, bytes], tag: BaseTag) -> int:
    """Return an unsigned little-endian integer, 0 where absent."""
    return int.from_bytes(values.get(tag, b"")[:4], "little")


def _groups(elements: Elements, tags: Collection[int]) -> list[dict[int, bytes]]:
    """Return the values of each frame that differ from those of the file or may do so."""
    count = _frame_count(elements)
    if count > MAX_FRAMES:
        raise FramesError(f"it states {count} frames, more than {MAX_FRAMES}")
    per_frame = elements.values.get(max(FRAME_GROUPS))
    if per_frame is None:
        raise FramesError(f"it holds {count} frames without the position of each")
    explicit = elements.transfer_syntax != ImplicitVRLittleEndian
    shared: dict[int, bytes] = {}
    for item in sequence_items(elements.values.get(SHARED_GROUPS, b""), explicit):
        shared |= _renamed(grouped_values(item, explicit, tags))
    groups: list[dict[int, bytes]] = []
    for item in sequence_items(per_frame, explicit):
        if len(groups) == count:
            raise FramesError(f"it describes more frames than the {count} that it states")
        groups.append(shared | _renamed(grouped_values(item, explicit, tags)))
    if len(groups) != count:
        raise FramesError(f"it describes {len(groups)} of the {count} frames that it states")
    return groups


def _renamed(values: Mapping[int, bytes]) -> dict[int, bytes]:
    """Give the values that have other tags in a file of one image those tags."""
    named = dict(values)
    if _FRAME_TYPE in values:
        named[_IMAGE_TYPE] = values[_FRAME_TYPE]
    if _FRAME_ACQUISITION in values:
        named[_ACQUISITION] = str(_number(values, _FRAME_ACQUISITION)).encode()
    elif _STACK in values:
        named[_ACQUISITION] = values[_STACK]
    return named


def _spans(
    elements: Elements, count: int, stream: BinaryIO
) -> list[tuple[int | None, int | None, int | None]]:
    """Return offset, length and end of each frame's pixels, as in `Elements`."""
    start, length = elements.pixel_offset, elements.pixel_length
    if start is None:
        return [(None, None, None)] * count
    if length is None:
        return [(first, None, end) for first, end in _compressed_spans(stream, start, count)]
    if elements.transfer_syntax == DeflatedExplicitVRLittleEndian:
        raise FramesError("it holds several frames in deflated form, which is not read here")
    rows, columns, bits = (_number(elements.values, tag) for tag in (_ROWS, _COLUMNS, _BITS))
    size = rows * columns * bits // 8
    if length < count * size:
        raise FramesError(
            f"it has {length} bytes of pixel data where {count} frames of {rows} × {columns} "
            f"pixels need {count * size}"
        )
    # Padding stands behind the last frame.
    sizes = [size] * (count - 1) + [length - (count - 1) * size]
    return [(start + k * size, sizes[k], None) for k in range(count)]


def _compressed_spans(stream: BinaryIO, start: int, count: int) -> list[tuple[int, int]]:
    """Return where the fragments of each frame start and end, their item headers included.

    A frame has one fragment or more (PS3.5 annex A.4). With as many fragments as frames there is
    no choice; else the offset table tells, and without one the first bytes of a stream do.
    """
    (_, table), *fragments = _items(stream, start)
    if len(fragments) < count:
        raise FramesError(f"its {count} frames have only {len(fragments)} compressed fragments")
    if len(fragments) == count:
        firsts = [position for position, _ in fragments]
    elif table:
        base = fragments[0][0]
        firsts = [base + int(offset) for (offset,) in struct.iter_unpack("<L", table)]
    else:
        firsts = [position for position, head in fragments if head.startswith(_STARTS)]
    known = {position for position, _ in fragments}
    ordered = firsts == sorted(set(firsts)) and firsts[0] == fragments[0][0]
    if len(firsts) != count or not ordered or not known.issuperset(firsts):
        raise FramesError("it is not clear which compressed fragment belongs to which frame")
    return list(zip(firsts, [*firsts[1:], stream.tell()], strict=True))


def _items(stream: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield position and first bytes of every item of encapsulated pixel data.

    The first is the offset table, whole; the stream is left behind the last fragment.
    """
    size = stream.seek(0, 2)
    position = start
    for number in range(_MAX_FRAGMENTS):
        stream.seek(position)
        head = stream.read(8)
        if head[:4] != _ITEM:
            break
        length = int.from_bytes(head[4:], "little")
        if position + 8 + length > size:
            raise FramesError("its compressed pixel data is cut off or damaged")
        yield position, stream.read(min(length, 4 * MAX_FRAMES) if number == 0 else min(length, 8))
        position += 8 + length
    else:
        raise FramesError("its compressed pixel data has more fragments than any CT file")
    stream.seek(position)
