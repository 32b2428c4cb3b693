"""Compressed pixel data: fragments out of their DICOM items, and images out of the fragments."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

_ITEM: Final = 0xFFFEE000
_SEQUENCE_END: Final = 0xFFFEE0DD
_END_OF_IMAGE: Final = b"\xff\xd9"

_JPEG: Final = (uid.JPEGLosslessSV1, uid.JPEGLossless)
_JPEG_LS: Final = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_JPEG_2000: Final = (uid.JPEG2000Lossless, uid.JPEG2000)
COMPRESSED: Final[frozenset[str]] = frozenset((*_JPEG, *_JPEG_LS, *_JPEG_2000, uid.RLELossless))
"""Transfer syntaxes `decode` knows."""
_RLE_PADDING: Final = 256
"""Bytes that an RLE segment may unpack to beyond its plane; some writers pad by more than one."""


class CodestreamError(ValueError):
    """Compressed pixel data that cannot be decoded; the message is a clause for the user."""


@dataclass(frozen=True, slots=True)
class _Frame:
    rows: int
    columns: int
    components: int


def first_frame(items: bytes) -> bytes:
    """Join the fragments of encapsulated PixelData that holds one frame.

    Args:
        items: The value of PixelData: the offset table's item, then one item a fragment
            (PS3.5 annex A.4).

    Raises:
        CodestreamError: An item is cut off, or there is none.
    """
    fragments: list[bytes] = []
    position = 0
    while position + 8 <= len(items):
        group, element, length = struct.unpack_from("<HHL", items, position)
        tag = group << 16 | element
        position += 8
        if tag == _SEQUENCE_END:
            break
        if tag != _ITEM or position + length > len(items):
            raise CodestreamError("its compressed pixel data is cut off or damaged")
        fragments.append(items[position : position + length])
        position += length
    frame = b"".join(fragments[1:])
    if not frame:
        raise CodestreamError("its compressed pixel data is empty")
    return frame


def decode(
    frame: bytes, transfer_syntax: str, *, rows: int, columns: int, bits_allocated: int
) -> NDArray[Any]:
    """Decode one frame of one grey value a pixel.

    Args:
        frame: From `first_frame`.
        transfer_syntax: One of `COMPRESSED`.
        rows: Expected height in pixels; checked before anything of that size is allocated.
        columns: Expected width in pixels.
        bits_allocated: 8 or 16.

    Returns:
        uint8, int8, uint16 or int16 (rows, columns). Signed only where the stream states a sign
        (JPEG 2000); elsewhere the bits of a signed value come as they are.

    Raises:
        CodestreamError: The stream is truncated, damaged or of another size.
    """
    if transfer_syntax == uid.RLELossless:
        return _decode_rle(frame, rows=rows, columns=columns, bits_allocated=bits_allocated)
    if _END_OF_IMAGE not in frame[-16:]:
        raise CodestreamError("its compressed pixel data is truncated (no end marker)")
    is_j2k = transfer_syntax in _JPEG_2000
    stated = _j2k_frame(frame) if is_j2k else _jpeg_frame(frame)
    if (stated.rows, stated.columns, stated.components) != (rows, columns, 1):
        raise CodestreamError(
            f"its compressed image is {stated.rows} × {stated.columns} with {stated.components} "
            f"value(s) a pixel, but the header says {rows} × {columns} with one"
        )
    if transfer_syntax in _JPEG and 8 * len(frame) < rows * columns:
        # Huffman codes take a bit a pixel at least; the decoder would make up what is missing.
        raise CodestreamError("its compressed pixel data is too short for the size it states")
    decoders: tuple[Callable[[bytes], NDArray[Any]], ...] = (imagecodecs.jpeg2k_decode,)
    if transfer_syntax in _JPEG_LS:
        decoders = (imagecodecs.jpegls_decode,)
    elif transfer_syntax in _JPEG:
        decoders = (imagecodecs.jpeg8_decode, imagecodecs.jpegsof3_decode)
    image = _first_success(decoders, frame)
    if image.shape != (rows, columns) or image.dtype.kind not in "iu" or image.itemsize > 2:
        raise CodestreamError("its compressed pixel data decodes to something else than CT pixels")
    return image


def _first_success(
    decoders: tuple[Callable[[bytes], NDArray[Any]], ...], frame: bytes
) -> NDArray[Any]:
    for decoder in decoders[:-1]:
        try:
            return decoder(frame)
        except (RuntimeError, ValueError, TypeError):
            continue
    try:
        return decoders[-1](frame)
    except (RuntimeError, ValueError, TypeError) as error:
        raise CodestreamError("its compressed pixel data is damaged") from error


def _decode_rle(frame: bytes, *, rows: int, columns: int, bits_allocated: int) -> NDArray[Any]:
    """Decode PackBits segments, one per byte plane, most significant first (PS3.5 annex G).

    `imagecodecs.dicomrle_decode` would take the whole frame, but reads past its end where an offset
    points there, and refuses segments that a writer has padded by more than one byte.
    """
    planes = bits_allocated // 8
    header = struct.unpack_from("<16L", frame) if len(frame) >= 64 else (0,) * 16
    if header[0] != planes:
        raise CodestreamError(f"its RLE pixel data has {header[0]} segments instead of {planes}")
    bounds = [*header[1 : planes + 1], len(frame)]
    image = np.empty((rows * columns, planes), np.uint8)
    for plane, (start, end) in enumerate(pairwise(bounds)):
        if not 64 <= start < end <= len(frame):
            raise CodestreamError("its RLE pixel data has a wrong offset table")
        image[:, planes - 1 - plane] = _unpack_bits(frame[start:end], rows * columns)
    return image.view("<u2" if planes == 2 else np.uint8).reshape(rows, columns)


def _unpack_bits(segment: bytes, size: int) -> NDArray[np.uint8]:
    try:
        plane = imagecodecs.packbits_decode(segment, out=size + _RLE_PADDING)
    except imagecodecs.PackbitsError as error:
        raise CodestreamError("its RLE pixel data is damaged") from error
    if len(plane) < size:
        raise CodestreamError("its RLE pixel data is truncated")
    return np.frombuffer(plane, np.uint8, size)


def _jpeg_frame(frame: bytes) -> _Frame:
    """Read the frame header (SOF0..SOF15, or SOF55 of JPEG-LS) of a JPEG stream."""
    position = 2
    while frame[:2] == b"\xff\xd8" and position + 10 <= len(frame):
        if frame[position] != 0xFF:
            break
        marker = frame[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", frame, position + 2)
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns, components = struct.unpack_from(">HHB", frame, position + 5)
            return _Frame(rows, columns, components)
        position += 2 + length
    raise CodestreamError("its compressed pixel data has no JPEG frame header")


def _j2k_frame(frame: bytes) -> _Frame:
    """Read the SIZ segment of a JPEG 2000 codestream, bare or inside a JP2 box."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0 or start + 42 > len(frame):
        raise CodestreamError("its compressed pixel data has no JPEG 2000 header")
    x1, y1, x0, y0 = struct.unpack_from(">4L", frame, start + 8)
    (components,) = struct.unpack_from(">H", frame, start + 40)
    return _Frame(y1 - y0, x1 - x0, components)
