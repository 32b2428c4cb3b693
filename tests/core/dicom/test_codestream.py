"""Compressed pixels: fragments, sizes checked before decoding, damage."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from core.dicom.codestream import CodestreamError, decode, first_frame
from core.dicom.series import read_series
from core.errors import DicomSeriesError
from tests.core.dicom.dicom_factory import made_hu, write_ct_series

PIXELS = np.arange(120, dtype=np.uint16).reshape(12, 10) * 30
STREAMS = {
    uid.JPEGLosslessSV1: bytes(imagecodecs.jpeg8_encode(PIXELS, lossless=True, bitspersample=16)),
    uid.JPEGLSLossless: bytes(imagecodecs.jpegls_encode(PIXELS)),
    uid.JPEG2000Lossless: bytes(
        imagecodecs.jpeg2k_encode(PIXELS, level=0, codecformat="j2k", reversible=True)
    ),
}


def decoded(frame: bytes, syntax: str, rows: int = 12, columns: int = 10):
    return decode(frame, syntax, rows=rows, columns=columns, bits_allocated=16)


@pytest.mark.parametrize("syntax", STREAMS)
def test_a_frame_may_come_in_many_fragments(syntax):
    stream = STREAMS[syntax]
    frame = first_frame(encapsulate([stream], fragments_per_frame=3))
    assert frame.rstrip(b"\0") == stream.rstrip(b"\0")
    np.testing.assert_array_equal(decoded(frame, syntax), PIXELS)


def test_a_jp2_box_around_the_codestream_is_read():
    boxed = bytes(imagecodecs.jpeg2k_encode(PIXELS, level=0, codecformat="jp2", reversible=True))
    np.testing.assert_array_equal(decoded(boxed, uid.JPEG2000), PIXELS)


@pytest.mark.parametrize("syntax", STREAMS)
def test_another_size_than_the_header_says_is_refused_before_decoding(syntax, monkeypatch):
    for name in ("jpeg8_decode", "jpegls_decode", "jpeg2k_decode"):
        monkeypatch.setattr(imagecodecs, name, lambda _: pytest.fail("was decoded"))
    with pytest.raises(CodestreamError, match=r"12 × 10 with 1 .* says 12 × 11"):
        decoded(STREAMS[syntax], syntax, columns=11)


@pytest.mark.parametrize("syntax", STREAMS)
def test_a_stream_without_its_end_is_truncated(syntax):
    with pytest.raises(CodestreamError, match="truncated"):
        decoded(STREAMS[syntax][:-2], syntax)


@pytest.mark.parametrize("syntax", STREAMS)
def test_bytes_of_another_kind_are_damage(syntax):
    with pytest.raises(CodestreamError):
        decoded(b"no image at all" * 20 + b"\xff\xd9", syntax)


@pytest.mark.parametrize("syntax", STREAMS)
def test_random_damage_raises_nothing_else(syntax):
    rng = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(STREAMS[syntax])
        for position in rng.integers(0, len(broken), 4):
            broken[position] = rng.integers(0, 256)
        try:
            image = decoded(bytes(broken), syntax)
        except CodestreamError:
            continue
        assert image.shape == (12, 10)


@pytest.mark.parametrize(
    "items",
    [
        b"",
        struct.pack("<HHL", 0xFFFE, 0xE000, 0),
        struct.pack("<HHL", 0xFFFE, 0xE000, 0) + struct.pack("<HHL", 0xFFFE, 0xE000, 50) + b"x",
        b"not an item at all",
    ],
)
def test_broken_fragments_are_an_error(items):
    with pytest.raises(CodestreamError):
        first_frame(items)


@pytest.mark.parametrize(
    "frame",
    [
        b"short",
        struct.pack("<16L", 1, 64, *[0] * 14) + b"\0" * 10,
        struct.pack("<16L", 2, 64, 9999, *[0] * 13) + b"\0" * 10,
        struct.pack("<16L", 2, 64, 66, *[0] * 13) + b"\xf7\x01\x00\x05",
    ],
)
def test_broken_rle_is_an_error(frame):
    with pytest.raises(CodestreamError, match="RLE"):
        decoded(frame, uid.RLELossless)


def test_rle_runs_literals_and_no_operations_are_unpacked():
    # 120 bytes a plane: a run of 100, a no-op, a literal of 2, a run of 18.
    plane = bytes([157, 7, 128, 1, 1, 2, 239, 9])
    frame = struct.pack("<16L", 2, 64, 72, *[0] * 13) + plane * 2
    expected = np.array([7] * 100 + [1, 2] + [9] * 18) * 257
    np.testing.assert_array_equal(decoded(frame, uid.RLELossless).ravel(), expected)


def test_compressed_pixels_of_stated_length_are_refused(tmp_path):
    # Written as native, named as compressed.
    for file in write_ct_series(tmp_path, made_hu(2)):
        content = file.read_bytes()
        old, new = uid.ExplicitVRLittleEndian.encode() + b"\0", uid.RLELossless.encode() + b"\0"
        at = content.index(old) - 2
        swapped = struct.pack("<H", len(new)) + new
        file.write_bytes(content[:at] + swapped + content[at + 2 + len(old) :])
    with pytest.raises(DicomSeriesError, match="not in fragments"):
        read_series(tmp_path)
