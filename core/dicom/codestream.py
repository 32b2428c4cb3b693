"""Compressed pixel data: fragments out of their DICOM items, and images out of the fragments."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

_ITEM: Final = 0xFFFEE000
_SEQUENCE_END: Final = 0xFFFEE0DD
_END_OF_IMAGE: Final = b"\xff\xd9"

Decoder = Callable[[bytes], NDArray[Any]]
_JPEG: Final = (uid.JPEGLosslessSV1, uid.JPEGLossless)
_JPEG_LOSSY: Final = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
_JPEG_LS: Final = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_HTJ2K: Final = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
_JPEG_2000: Final = (uid.JPEG2000Lossless, uid.JPEG2000, *_HTJ2K)
_DECODERS: Final[dict[str, tuple[Decoder, ...]]] = {
    **dict.fromkeys(_JPEG, (imagecodecs.jpeg8_decode, imagecodecs.jpegsof3_decode)),
    **dict.fromkeys(_JPEG_LOSSY, (imagecodecs.jpeg8_decode,)),
    **dict.fromkeys(_JPEG_LS, (imagecodecs.jpegls_decode,)),
    **dict.fromkeys(_JPEG_2000, (imagecodecs.jpeg2k_decode,)),
}
"""Tried in order. OpenJPEG reads HTJ2K as well; OpenJPH behind `htj2k_decode` takes an eighth of
the time, but returns an image for nine in ten damaged streams, where OpenJPEG raises for two in
three."""
COMPRESSED: Final[frozenset[str]] = frozenset((*_DECODERS, uid.RLELossless))
"""Transfer syntaxes `decode` knows."""
LOSSY: Final[dict[str, str]] = {
    **dict.fromkeys(_JPEG_LOSSY, "JPEG"),
    uid.JPEGLSNearLossless: "JPEG-LS",
    uid.JPEG2000: "JPEG 2000",
    uid.HTJ2K: "High-Throughput JPEG 2000",
}
"""Transfer syntaxes that allow a loss, and the name of their method."""
_LEAST_BITS: Final[dict[str, float]] = {
    **dict.fromkeys(_JPEG, 1.0),
    **dict.fromkeys(_JPEG_LOSSY, 2 / 64),
}
"""Bits per pixel that Huffman codes take at least: one each, or with loss two per 8 × 8 block."""
_RLE_PADDING: Final = 256
"""Bytes that an RLE segment may unpack to beyond its plane; some writers pad by more than one."""


class CodestreamError(ValueError):
    """Compressed pixel data that cannot be decoded; the message is a clause for the user."""


class Decoded(NamedTuple):
    """One frame.

    Attributes:
        stored: uint8, int8, uint16 or int16 (rows, columns). Signed only where the stream states a
            sign (JPEG 2000); elsewhere the bits of a signed value come as they are.
        bits: Bits of a value by a JPEG 2000 stream, which may contradict the header; else None.
    """

    stored: NDArray[Any]
    bits: int | None


class _Frame(NamedTuple):
    rows: int
    columns: int
    components: int
    bits: int
    end: int
    """Byte after the segment that states the others."""


def joined_fragments(items: bytes, *, has_table: bool = True) -> bytes:
    """Join the fragments of encapsulated PixelData that make up one frame.

    Args:
        items: One item per fragment (PS3.5 annex A.4).
        has_table: Whether the offset table's item comes first, as in PixelData of one frame.

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
    frame = b"".join(fragments[1:] if has_table else fragments)
    if not frame:
        raise CodestreamError("its compressed pixel data is empty")
    return frame


def decode(
    frame: bytes, transfer_syntax: str, *, rows: int, columns: int, bits_allocated: int
) -> Decoded:
    """Decode one frame of one grey value a pixel.

    Args:
        frame: From `joined_fragments`.
        transfer_syntax: One of `COMPRESSED`.
        rows: Expected height in pixels; checked before anything of that size is allocated.
        columns: Expected width in pixels.
        bits_allocated: 8 or 16.

    Raises:
        CodestreamError: The stream is truncated, damaged or of another size.
    """
    if transfer_syntax == uid.RLELossless:
        stored = _decode_rle(frame, rows=rows, columns=columns, bits_allocated=bits_allocated)
        return Decoded(stored, None)
    stated = _j2k_frame(frame) if transfer_syntax in _JPEG_2000 else _jpeg_frame(frame)
    # Some writers pad the stream, or leave the rest of a buffer behind its end marker.
    end = frame.rfind(_END_OF_IMAGE, stated.end)
    if end < 0:
        raise CodestreamError("its compressed pixel data is truncated (no end marker)")
    _check_stated(stated, transfer_syntax, end, rows, columns)
    image = _first_success(_DECODERS[transfer_syntax], frame[: end + len(_END_OF_IMAGE)])
    if image.shape != (rows, columns) or image.dtype.kind not in "iu" or image.itemsize > 2:
        raise CodestreamError("its compressed pixel data decodes to something else than CT pixels")
    # JPEG and JPEG-LS streams state no sign; some encoders count only the bits that occur.
    return Decoded(image, stated.bits if transfer_syntax in _JPEG_2000 else None)


def _check_stated(stated: _Frame, transfer_syntax: str, size: int, rows: int, columns: int) -> None:
    if (stated.rows, stated.columns, stated.components) != (rows, columns, 1):
        raise CodestreamError(
            f"its compressed image is {stated.rows} × {stated.columns} with {stated.components} "
            f"value(s) a pixel, but the header says {rows} × {columns} with one"
        )
    # The decoder would make up what is missing.
    if 8 * size < rows * columns * _LEAST_BITS.get(transfer_syntax, 0.0):
        raise CodestreamError("its compressed pixel data is too short for the size it states")


def _first_success(decoders: tuple[Decoder, ...], frame: bytes) -> NDArray[Any]:
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
    if len(plane) > size and segment[_codes_end(segment, size) :].strip(b"\0\x80"):
        raise CodestreamError("its RLE pixel data holds more pixels than its size states")
    return np.frombuffer(plane, np.uint8, size)


def _codes_end(segment: bytes, size: int) -> int:
    """Return where the PackBits codes for the first `size` bytes end (PS3.5 section G.3.2)."""
    position = 0
    while size > 0 and position < len(segment):
        code = segment[position]
        if code < 128:
            position, size = position + code + 2, size - code - 1
        elif code > 128:
            position, size = position + 2, size - 257 + code
        else:
            position += 1
    return position


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
            bits, rows, columns, components = struct.unpack_from(">BHHB", frame, position + 4)
            return _Frame(rows, columns, components, bits, position + 2 + length)
        position += 2 + length
    raise CodestreamError("its compressed pixel data has no JPEG frame header")


def _j2k_frame(frame: bytes) -> _Frame:
    """Read the SIZ segment of a JPEG 2000 codestream, bare or inside a JP2 box."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0 or start + 43 > len(frame):
        raise CodestreamError("its compressed pixel data has no JPEG 2000 header")
    x1, y1, x0, y0 = struct.unpack_from(">4L", frame, start + 8)
    components, depth = struct.unpack_from(">HB", frame, start + 40)
    return _Frame(y1 - y0, x1 - x0, components, (depth & 0x7F) + 1, start + 43)
