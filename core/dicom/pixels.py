"""Stored pixel values of one DICOM file, and HU from them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from core.constants import HU_AIR
from core.dicom.codestream import COMPRESSED, CodestreamError, decode, first_frame
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
_MEND_COPY: Final = "copy the file again from its source or remove it"


def check_transfer_syntax(header: SliceHeader) -> None:
    """Raise `DicomSeriesError` where the file's transfer syntax is none that `read_slice` reads."""
    if header.transfer_syntax in _UNCOMPRESSED or header.transfer_syntax in COMPRESSED:
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
            stored = _compressed(header, header.format, header.pixel_offset)
        else:
            stored = _uncompressed(header, header.format, header.pixel_offset)
    except CodestreamError as error:
        raise DicomSeriesError(header.path, str(error), _MEND_COPY) from error
    except OSError as error:
        raise _unreadable(header, error) from error
    to_hu(stored, header.format, out)


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
    size = pixel_format.bits_stored
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
    dtype = np.dtype(f"{'>' if big_endian else '<'}u{width}")
    return np.frombuffer(content, dtype).reshape(header.rows, header.columns)


def _stated_size(header: SliceHeader, pixel_format: PixelFormat) -> int:
    """Return the bytes that the pixels need, where PixelData has that length."""
    size = header.rows * header.columns * (pixel_format.bits_allocated // 8)
    # An odd value is padded to even length (PS3.5 section 7.1.1).
    if header.pixel_length not in (size, size + size % 2):
        raise CodestreamError(
            f"it has {header.pixel_length} bytes of pixel data where {header.rows} × "
            f"{header.columns} pixels need {size}"
        )
    return size


def _check_there(found: int, size: int) -> None:
    if found < size:
        raise CodestreamError(
            f"its pixel data is truncated ({max(found, 0)} of {size} bytes are there)"
        )


def _unreadable(header: SliceHeader, error: OSError) -> DicomSeriesError:
    return DicomSeriesError(
        header.path, f"cannot be read ({error.strerror})", "check that the file is still there"
    )


def _compressed(header: SliceHeader, pixel_format: PixelFormat, offset: int) -> NDArray[Any]:
    if header.pixel_length is not None:
        raise CodestreamError("its compressed pixel data is not in fragments as DICOM demands")
    return decode(
        first_frame(_content(header, offset, _MAX_COMPRESSED_BYTES)),
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
