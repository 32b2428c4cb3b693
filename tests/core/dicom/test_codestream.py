"""Compressed pixels: fragments, sizes checked before decoding, damage."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder

from core.dicom import codestream
from core.dicom.codestream import CodestreamError, decode, joined_fragments
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
    uid.JPEGBaseline8Bit: bytes(imagecodecs.jpeg8_encode((PIXELS // 16).astype(np.uint8))),
    uid.HTJ2KLossless: bytes(imagecodecs.htj2k_encode(PIXELS, reversible=True)),
}


def decoded(frame: bytes, syntax: str, rows: int = 12, columns: int = 10):
    return decode(frame, syntax, rows=rows, columns=columns, bits_allocated=16).stored


@pytest.mark.parametrize("syntax", STREAMS)
def test_a_frame_may_come_in_many_fragments(syntax):
    stream = STREAMS[syntax]
    frame = joined_fragments(encapsulate([stream], fragments_per_frame=3))
    assert frame.rstrip(b"\0") == stream.rstrip(b"\0")
    expected = decoded(stream, syntax) if syntax == uid.JPEGBaseline8Bit else PIXELS
    np.testing.assert_array_equal(decoded(frame, syntax), expected)


def test_a_jp2_box_around_the_codestream_is_read():
    boxed = bytes(imagecodecs.jpeg2k_encode(PIXELS, level=0, codecformat="jp2", reversible=True))
    np.testing.assert_array_equal(decoded(boxed, uid.JPEG2000), PIXELS)


@pytest.mark.parametrize("syntax", STREAMS)
def test_another_size_than_the_header_says_is_refused_before_decoding(syntax, monkeypatch):
    monkeypatch.setattr(codestream, "_first_success", lambda *_: pytest.fail("was decoded"))
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
        joined_fragments(items)


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


def rle_layout(image: np.ndarray) -> dict:
    return {
        "rows": image.shape[0], "columns": image.shape[1], "number_of_frames": 1,
        "samples_per_pixel": 1, "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": image.itemsize * 8, "bits_stored": image.itemsize * 8,
        "pixel_representation": 0,
    }  # fmt: skip


def rle_written(image: np.ndarray) -> bytes:
    """The frame as pydicom writes it."""
    return get_encoder(uid.RLELossless).encode(
        image.tobytes(), encoding_plugin="pydicom", **rle_layout(image)
    )


def rle_read(frame: bytes, image: np.ndarray) -> np.ndarray:
    """A frame of the image's size as pydicom reads it."""
    options = rle_layout(image) | {"decoding_plugin": "pydicom", "pixel_keyword": "PixelData"}
    return get_decoder(uid.RLELossless).as_array(encapsulate([frame]), **options)[0]


def rle_decoded(frame: bytes, image: np.ndarray) -> np.ndarray:
    rows, columns = image.shape
    return decode(
        frame, uid.RLELossless, rows=rows, columns=columns, bits_allocated=image.itemsize * 8
    ).stored


def made_image(dtype: type, kind: str, shape: tuple[int, int]) -> np.ndarray:
    image = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    if kind == "runs":
        image[image > image.mean()] = 5
    return image


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["noise", "runs"])
@pytest.mark.parametrize("shape", [(12, 10), (7, 3), (64, 65)])
def test_rle_is_read_as_pydicom_reads_it(dtype, kind, shape):
    image = made_image(dtype, kind, shape)
    frame = rle_written(image)
    found = rle_decoded(frame, image)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image)
    np.testing.assert_array_equal(found, rle_read(frame, image))


@pytest.mark.parametrize("padding", [b"\0\0", b"\0" * 7, b"\x80" * 9])
def test_rle_segments_padded_by_more_than_a_byte_are_read(padding):
    image = made_image(np.uint8, "runs", (12, 10))
    np.testing.assert_array_equal(rle_decoded(rle_written(image) + padding, image), image)


def test_rle_with_more_pixels_than_the_header_states_is_refused():
    image = made_image(np.uint8, "noise", (12, 10))
    with pytest.raises(CodestreamError, match="more pixels than its size states"):
        rle_decoded(rle_written(image), image[:11])


def test_rle_that_unpacks_to_far_more_than_the_slice_is_refused():
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 65_536
    with pytest.raises(CodestreamError, match="RLE"):
        rle_decoded(frame, np.zeros((12, 10), np.uint8))


@pytest.mark.filterwarnings("ignore:The decoded RLE segment contains non-conformant padding")
def test_random_damage_to_rle_is_an_error_or_what_pydicom_reads():
    image = made_image(np.uint16, "runs", (12, 10))
    stream, rng, read = rle_written(image), np.random.default_rng(0), 0
    for _ in range(500):
        broken = bytearray(stream)
        for position in rng.integers(0, len(broken), 2):
            broken[position] = rng.integers(0, 256)
        try:
            found = rle_decoded(bytes(broken), image)
        except CodestreamError:
            continue
        np.testing.assert_array_equal(found, rle_read(bytes(broken), image))
        read += 1
    assert 0 < read < 500


@pytest.mark.parametrize("left", [0, 30, 64, 70, 150])
def test_rle_cut_off_anywhere_is_an_error(left):
    image = made_image(np.uint16, "noise", (12, 10))
    with pytest.raises(CodestreamError, match="RLE"):
        rle_decoded(rle_written(image)[:left], image)


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
