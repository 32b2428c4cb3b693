"""Stored pixel values of one DICOM file, and HU from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from core.constants import HU_AIR
from core.dicom.codestream import (
    COMPRESSED,
    LOSSY,
    CodestreamError,
    Decoded,
    decode,
    joined_fragments,
)
from core.dicom.elements import inflate
from core.dicom.headers import PixelFormat, SliceHeader
from core.errors import DicomSeriesError

_UNCOMPRESSED: Final[frozenset[str]] = frozenset(
    (
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
    )
)
_MAX_COMPRESSED_BYTES: Final = 256 << 20
_MAX_PADDING: Final = 4096
"""Bytes behind the pixels that count as padding: the largest block that writers pad to."""
_MEND_COPY: Final = "copy the file again from its source or remove it"


def is_read_syntax(transfer_syntax: str) -> bool:
    """Whether `read_slice` reads files of a transfer syntax."""
    return transfer_syntax in _UNCOMPRESSED or transfer_syntax in COMPRESSED


def check_transfer_syntax(header: SliceHeader) -> None:
    """Raise `DicomSeriesError` where the file's transfer syntax is none that `read_slice` reads."""
    if is_read_syntax(header.transfer_syntax):
        return
    name = uid.UID(header.transfer_syntax).name or "none stated"
    raise DicomSeriesError(
        header.path,
        f"its transfer syntax ({name[:60]}) is not read here",
        "convert the series to Explicit VR Little Endian, with gdcmconv --raw or dcmdjpeg",
    )


def check_pixel_length(header: SliceHeader) -> None:
    """Refuse uncompressed pixels that the file cannot hold, before anything is allocated for them.

    Raises:
        DicomSeriesError: The pixel data has another length than the size claims, or is cut off.
    """
    if header.transfer_syntax not in _UNCOMPRESSED or header.format is None:
        return
    try:
        size = _stated_size(header, header.format)
        if header.transfer_syntax != uid.DeflatedExplicitVRLittleEndian:
            _check_there(header.path.stat().st_size - (header.pixel_offset or 0), size)
    except CodestreamError as error:
        raise DicomSeriesError(header.path, str(error), _MEND_COPY) from error
    except OSError as error:
        raise _unreadable(header, error) from error


def pixel_notes(headers: Sequence[SliceHeader]) -> list[str]:
    """Return sentences for the user about how the pixels of a series are stored."""
    notes: list[str] = []
    padded = sum(_is_padded(header) for header in headers)
    if padded:
        notes.append(
            f"PixelData is longer than Rows × Columns need in {padded} of {len(headers)} slices; "
            "the rest was taken as padding."
        )
    lossy = [header for header in headers if _is_lossy(header)]
    if lossy:
        method = LOSSY.get(lossy[0].transfer_syntax, "method not stated")
        notes.append(
            f"The pixels were compressed with loss ({method}): their HU differ from the scanner's, "
            "and fine fracture lines may be missing."
        )
    return notes


def _is_padded(header: SliceHeader) -> bool:
    if header.pixel_length is None or header.format is None:
        return False
    size = header.rows * header.columns * (header.format.bits_allocated // 8)
    return header.pixel_length > size + size % 2


def _is_lossy(header: SliceHeader) -> bool:
    """Whether a loss is stated, or possible and not denied."""
    always = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
    if header.lossy is None or header.transfer_syntax in always:
        return header.transfer_syntax in LOSSY
    return header.lossy


def check_pixels(header: SliceHeader) -> None:
    """Raise what `read_slice` would raise for a file; only packed pixels are decoded for it.

    Raises:
        DicomSeriesError: The file cannot be read as a CT slice.
    """
    if header.flaw or header.format is None:
        raise DicomSeriesError(header.path, header.flaw, header.remedy)
    if header.pixel_offset is None:
        raise DicomSeriesError(header.path, "it has no pixel data", _MEND_COPY)
    check_transfer_syntax(header)
    check_pixel_length(header)
    if header.transfer_syntax in COMPRESSED or (
        header.transfer_syntax == uid.DeflatedExplicitVRLittleEndian
    ):
        read_slice(header, np.empty((header.rows, header.columns), np.int16))


def read_slice(header: SliceHeader, out: NDArray[np.int16]) -> None:
    """Read one file's pixels as HU.

    Args:
        header: Of the file.
        out: int16 HU, (y, x), C-contiguous; filled.

    Raises:
        DicomSeriesError: The pixel data is missing, truncated, of the wrong length or damaged, or
            its transfer syntax is not read.
    """
    if header.format is None or header.pixel_offset is None:
        raise DicomSeriesError(header.path, header.flaw or "it has no pixel data", _MEND_COPY)
    check_transfer_syntax(header)
    try:
        if header.transfer_syntax in COMPRESSED:
            stored, bits = _compressed(header, header.format, header.pixel_offset)
        else:
            stored, bits = _uncompressed(header, header.format, header.pixel_offset), None
    except CodestreamError as error:
        raise DicomSeriesError(header.path, str(error), _MEND_COPY) from error
    except OSError as error:
        raise _unreadable(header, error) from error
    # Where header and stream differ, the encoder knew the pixels and the header was copied.
    stated = header.format if bits is None else replace(header.format, stream_bits=bits)
    to_hu(stored, stated, out)


def to_hu(stored: NDArray[Any], pixel_format: PixelFormat, out: NDArray[np.int16]) -> None:
    """Map stored values to HU: sign, inversion, rescale, rounding, clipping to int16, padding.

    Args:
        stored: 8- or 16-bit integers (y, x); only their bits count, for a JPEG stream carries
            the bits of a signed value without its sign.
        pixel_format: From the header.
        out: int16 HU, (y, x), C-contiguous; filled. Padding becomes -1024.
    """
    wide = stored if stored.itemsize == 2 else stored.astype(np.int16)
    bits = wide.astype(wide.dtype.newbyteorder("="), copy=False).view(np.uint16)
    cv2.LUT(np.ascontiguousarray(bits), _hu_table(pixel_format), dst=out)


@lru_cache(maxsize=64)
def _hu_table(pixel_format: PixelFormat) -> NDArray[np.int16]:
    """Return int16 HU for each of the 65,536 patterns of 16 stored bits, (65536,)."""
    patterns = np.arange(1 << 16, dtype=np.int64)
    low, high = _stored_range(pixel_format)
    value = _as_stored(patterns, pixel_format)
    grey = low + high - value if pixel_format.inverted else value
    hu = np.rint(grey * pixel_format.slope + pixel_format.intercept)
    limits = np.iinfo(np.int16)
    table = np.clip(hu, limits.min, limits.max).astype(np.int16)
    if pixel_format.padding is not None:
        first, last = (_signed_16(bits, pixel_format) for bits in pixel_format.padding)
        as_written = patterns.astype(np.uint16).view(np.int16) if pixel_format.signed else patterns
        between = (min(first, last), max(first, last))
        # Some writers pad with a value outside BitsStored, so the bits as written count as well.
        for candidate in (value, as_written):
            table[(candidate >= between[0]) & (candidate <= between[1])] = HU_AIR
    table.flags.writeable = False
    return table


def _stored_range(pixel_format: PixelFormat) -> tuple[int, int]:
    low = -(1 << (pixel_format.bits_stored - 1)) if pixel_format.signed else 0
    return low, low + (1 << pixel_format.bits_stored) - 1


def _as_stored(patterns: NDArray[np.int64], pixel_format: PixelFormat) -> NDArray[np.int64]:
    size = pixel_format.stream_bits or pixel_format.bits_stored
    value = patterns & ((1 << size) - 1)
    if not pixel_format.signed:
        return value
    return np.where(value >> (size - 1), value - (1 << size), value)


def _signed_16(bits: int, pixel_format: PixelFormat) -> int:
    return bits - (1 << 16) if pixel_format.signed and bits >> 15 else bits


def _uncompressed(header: SliceHeader, pixel_format: PixelFormat, offset: int) -> NDArray[Any]:
    width = pixel_format.bits_allocated // 8
    big_endian = header.transfer_syntax == uid.ExplicitVRBigEndian
    if big_endian and width == 1:
        raise CodestreamError("its pixels are 8 bits in big-endian order, which is not read here")
    size = _stated_size(header, pixel_format)
    content = _content(header, offset, size)
    _check_there(len(content), size)
    _check_padding(header, offset, size)
    dtype = np.dtype(f"{'>' if big_endian else '<'}u{width}")
    return np.frombuffer(content, dtype).reshape(header.rows, header.columns)


def _stated_size(header: SliceHeader, pixel_format: PixelFormat) -> int:
    """Return the bytes that the pixels need, where PixelData holds them and no more than padding.

    An odd value is padded to even length (PS3.5 section 7.1.1); some writers pad to a block.
    """
    size = header.rows * header.columns * (pixel_format.bits_allocated // 8)
    if header.pixel_length is None:
        raise CodestreamError("its pixels are compressed by a method that it does not state")
    if not size <= header.pixel_length <= size + _MAX_PADDING:
        raise CodestreamError(
            f"it has {header.pixel_length} bytes of pixel data where {header.rows} × "
            f"{header.columns} pixels need {size}"
        )
    return size


def _check_padding(header: SliceHeader, offset: int, size: int) -> None:
    """Refuse pixels behind those of the stated size: with other Columns the image is sheared."""
    length = header.pixel_length or 0
    if length > size + size % 2 and any(_content(header, offset + size, length - size)):
        raise CodestreamError(
            f"it has {length} bytes of pixel data where {header.rows} × {header.columns} pixels "
            f"need {size}, and the rest is no padding"
        )


def _check_there(found: int, size: int) -> None:
    if found < size:
        raise CodestreamError(
            f"its pixel data is truncated ({max(found, 0)} of {size} bytes are there)"
        )


def _unreadable(header: SliceHeader, error: OSError) -> DicomSeriesError:
    return DicomSeriesError(
        header.path, f"cannot be read ({error.strerror})", "check that the file is still there"
    )


def _compressed(header: SliceHeader, pixel_format: PixelFormat, offset: int) -> Decoded:
    if header.pixel_length is not None:
        raise CodestreamError("its compressed pixel data is not in fragments as DICOM demands")
    end = header.pixel_end
    size = _MAX_COMPRESSED_BYTES if end is None else min(end - offset, _MAX_COMPRESSED_BYTES)
    return decode(
        joined_fragments(_content(header, offset, size), has_table=end is None),
        header.transfer_syntax,
        rows=header.rows,
        columns=header.columns,
        bits_allocated=pixel_format.bits_allocated,
    )


def _content(header: SliceHeader, offset: int, size: int) -> bytes:
    if header.transfer_syntax == uid.DeflatedExplicitVRLittleEndian:
        plain = inflate(header.path, header.path.read_bytes())
        return plain[offset : offset + size]
    with header.path.open("rb", buffering=0) as stream:
        stream.seek(offset)
        return stream.read(size)
