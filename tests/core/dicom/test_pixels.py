"""Stored values to HU: sign, inversion, padding, rounding and clipping."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.encaps import encapsulate, generate_frames

from core.dicom.headers import PixelFormat
from core.dicom.pixels import to_hu
from core.dicom.series import read_series
from core.errors import DicomSeriesError
from tests.core.dicom.dicom_factory import made_hu, write_ct_series


def hu_of(stored, **changes) -> list[int]:
    stated = {
        "bits_allocated": 16, "bits_stored": 16, "signed": False, "inverted": False, "slope": 1.0,
        "intercept": 0.0, "padding": None,
    }  # fmt: skip
    row = np.array([stored])
    out = np.zeros(row.shape, np.int16)
    to_hu(row, PixelFormat(**(stated | changes)), out)
    return out[0].tolist()


def u16(*values: int):
    return np.array(values, np.uint16)


def test_unused_high_bits_are_dropped_and_the_sign_is_extended():
    assert hu_of(u16(0xF001, 0x0FFF), bits_stored=12) == [1, 4095]
    assert hu_of(u16(0xF001, 0x0FFF, 0x0800), bits_stored=12, signed=True) == [1, -1, -2048]


def test_values_beyond_int16_are_clipped():
    assert hu_of(u16(0, 65535), intercept=-1024) == [-1024, 32767]
    assert hu_of(u16(0x8000), signed=True, intercept=-1024) == [-32768]


def test_halves_round_to_even_after_a_float_rescale():
    assert hu_of(u16(1, 2, 3, 5), slope=0.5) == [0, 1, 2, 2]
    assert hu_of(u16(10), slope=1.37, intercept=-0.2) == [14]


def test_monochrome1_is_inverted_over_the_stored_range():
    assert hu_of(u16(0, 4095, 1000), bits_stored=12, inverted=True) == [4095, 0, 3095]
    inverted = hu_of(u16(0x800, 0x7FF, 0), bits_stored=12, signed=True, inverted=True)
    assert inverted == [2047, -2048, -1]


def test_padding_becomes_air_whatever_its_stored_value():
    assert hu_of(u16(3000, 5), padding=(3000, 3000)) == [-1024, 5]
    # -2000 as 16 bits, where only 12 are stored.
    assert hu_of(u16(63536, 5), bits_stored=12, padding=(63536, 63536)) == [-1024, 5]
    assert hu_of(u16(63536, 5), signed=True, padding=(63536, 63536)) == [-1024, 5]


def test_a_padding_range_counts_both_ends_in_either_order():
    for padding in ((10, 12), (12, 10)):
        assert hu_of(u16(9, 10, 11, 12, 13), padding=padding) == [9, -1024, -1024, -1024, 13]


def test_padding_is_met_before_inversion():
    assert hu_of(u16(0, 1), bits_stored=12, inverted=True, padding=(0, 0)) == [-1024, 4094]


@given(
    bits=st.integers(2, 16), signed=st.booleans(), slope=st.floats(0.01, 4),
    intercept=st.floats(-2000, 2000), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_format_agrees_with_the_definition(bits, signed, slope, intercept, seed):
    low = -(1 << (bits - 1)) if signed else 0
    values = np.random.default_rng(seed).integers(low, low + (1 << bits), 20)
    stored = (values & ((1 << bits) - 1)).astype(np.uint16)
    expected = np.clip(np.rint(values * slope + intercept), -32768, 32767)
    got = hu_of(stored, bits_stored=bits, signed=signed, slope=slope, intercept=intercept)
    assert got == expected.tolist()


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big-endian", "rle"])
@pytest.mark.parametrize("signed", [False, True])
def test_padding_is_read_from_the_header_in_every_byte_order(tmp_path, syntax, signed):
    hu = np.clip(made_hu(2), -900, 900)
    hu[:, 0, 0] = 976
    padding = 2000 if not signed else 976 + 1024
    write_ct_series(tmp_path, hu, syntax=syntax, signed=signed, padding=padding)
    expected = hu.copy()
    expected[:, 0, 0] = -1024
    np.testing.assert_array_equal(read_series(tmp_path).hu, expected)


@pytest.mark.parametrize("signed", [False, True])
def test_an_inverted_series_is_turned_back_with_a_note(tmp_path, signed):
    hu = np.clip(made_hu(2), -1000, 1000)
    write_ct_series(tmp_path, hu, photometric="MONOCHROME1", bits_stored=12, signed=signed)
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    assert any("MONOCHROME1" in note for note in volume.notes)


def test_eight_bit_pixels_and_a_missing_rescale_are_read(tmp_path):
    pixels = np.arange(120, dtype=np.uint8).reshape(12, 10)

    def edit(ds, _):
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        ds.PixelData = pixels.tobytes()
        del ds.RescaleSlope
        del ds.RescaleIntercept

    write_ct_series(tmp_path, made_hu(2), edit=edit)
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, np.stack([pixels, pixels]))
    assert any("taken as HU" in note for note in volume.notes)


def as_jpeg2000(pixels, bits):
    """An edit that stores `pixels` as a JPEG 2000 stream of so many bits."""

    def edit(ds, _):
        frame = imagecodecs.jpeg2k_encode(
            pixels, level=0, codecformat="j2k", reversible=True, bitspersample=bits
        )
        ds.PixelData = encapsulate([bytes(frame)])
        ds["PixelData"].VR = "OB"

    return edit


@pytest.mark.parametrize("header_bits", [13, 14, 16])
@pytest.mark.parametrize("header_signed", [False, True])
@pytest.mark.parametrize("stream_signed", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_jpeg_2000_stream_of_another_precision_or_sign_is_read_as_pydicom_reads_it(
    tmp_path, header_bits, header_signed, stream_signed
):
    values = np.random.default_rng(5).integers(-4096, 4096, (12, 10)).astype(np.int16)
    pixels = values if stream_signed else (values & 0x1FFF).astype(np.uint16)
    (file,) = write_ct_series(
        tmp_path, made_hu(1), syntax="jpeg2000", bits_stored=header_bits, signed=header_signed,
        intercept=0.0, edit=as_jpeg2000(pixels, 13),
    )  # fmt: skip
    found = read_series(tmp_path).hu[0]
    np.testing.assert_array_equal(found, pydicom.dcmread(file).pixel_array)
    np.testing.assert_array_equal(found, values if header_signed else values & 0x1FFF)


@pytest.mark.parametrize("bits_in_stream", [12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_an_inverted_stream_is_turned_back_over_the_range_of_the_header(
    tmp_path, bits_in_stream, signed
):
    low = -2048 if signed else 0
    values = np.random.default_rng(6).integers(low, low + 4096, (12, 10))
    pixels = values.astype(np.int16 if signed else np.uint16)
    write_ct_series(
        tmp_path, made_hu(1), syntax="jpeg2000", bits_stored=12, signed=signed, intercept=0.0,
        photometric="MONOCHROME1", edit=as_jpeg2000(pixels, bits_in_stream),
    )  # fmt: skip
    np.testing.assert_array_equal(read_series(tmp_path).hu[0], 2 * low + 4095 - values)


@pytest.mark.parametrize("syntax", ["jpeg-lossless", "jpeg-ls", "jpeg2000", "htj2k"])
@pytest.mark.parametrize("rest", [b"\0" * 400, bytes(range(200))])
def test_bytes_behind_the_end_of_a_stream_are_ignored(tmp_path, syntax, rest):
    def edit(ds, _):
        (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
        ds.PixelData = encapsulate([frame + rest])

    hu = made_hu(2)
    write_ct_series(tmp_path, hu, syntax=syntax, edit=edit)
    np.testing.assert_array_equal(read_series(tmp_path).hu, hu)


@pytest.mark.parametrize("more", [2, 20, 512, 4096])
def test_padding_behind_the_pixels_is_ignored_with_a_note(tmp_path, more):
    def edit(ds, k):
        ds.PixelData += b"\0" * (more if k else 0)

    hu = made_hu(3)
    write_ct_series(tmp_path, hu, edit=edit)
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.notes == (
        "PixelData is longer than Rows × Columns need in 2 of 3 slices; the rest was taken as "
        "padding.",
    )


@pytest.mark.parametrize(
    ("rest", "problem"),
    [(b"\0" * 4098, "4338 bytes of pixel data"), (b"\0\1" * 10, "the rest is no padding")],
)
def test_more_pixels_than_the_size_states_are_refused(tmp_path, rest, problem):
    write_ct_series(tmp_path, made_hu(2), edit=lambda ds, _: setattr(
        ds, "PixelData", ds.PixelData + rest
    ))  # fmt: skip
    with pytest.raises(DicomSeriesError, match=problem):
        read_series(tmp_path)


def as_lossy(kind):
    """An edit that stores the pixels with loss."""

    def edit(ds, _):
        pixels = np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns)
        if kind == "JPEG2000":
            stream = imagecodecs.jpeg2k_encode(
                pixels, level=60, codecformat="j2k", bitspersample=12
            )
        elif kind == "HTJ2K":
            stream = imagecodecs.htj2k_encode(pixels, level=0.0002, reversible=False)
        elif kind == "JPEGLSNearLossless":
            stream = imagecodecs.jpegls_encode(pixels, level=3)
        elif kind == "JPEGExtended12Bit":
            stream = imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=12)
        else:
            stream = imagecodecs.jpeg8_encode((pixels // 16).astype(np.uint8), level=95)
            ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
            ds.RescaleSlope = 16
        ds.PixelData = encapsulate([bytes(stream)])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = getattr(uid, kind)
        ds.LossyImageCompression = "01"

    return edit


LOSSY = {
    "JPEG2000": "JPEG 2000", "HTJ2K": "High-Throughput JPEG 2000", "JPEGLSNearLossless": "JPEG-LS",
    "JPEGExtended12Bit": "JPEG", "JPEGBaseline8Bit": "JPEG",
}  # fmt: skip


@pytest.mark.parametrize("kind", LOSSY)
def test_pixels_with_loss_are_near_the_original_as_in_gdcm_and_noted(tmp_path, kind):
    smooth = (np.hypot(*np.mgrid[-32:32, -32:32]) * 40 - 800).astype(np.int16)
    (file,) = write_ct_series(tmp_path, smooth[None], bits_stored=12, edit=as_lossy(kind))
    volume = read_series(tmp_path)
    assert f"compressed with loss ({LOSSY[kind]})" in volume.notes[-1]
    assert np.abs(volume.hu[0].astype(int) - smooth).max() <= 50
    if kind == "HTJ2K":  # GDCM knows no HTJ2K; OpenJPH does.
        (frame,) = generate_frames(pydicom.dcmread(file).PixelData, number_of_frames=1)
        peer = imagecodecs.htj2k_decode(frame).astype(int) - 1024
        assert np.abs(volume.hu[0] - peer).max() <= 1
    else:
        peer = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))[0]
        np.testing.assert_array_equal(volume.hu[0], peer)


@pytest.mark.parametrize(("stated", "noted"), [("00", False), ("01", True), (None, True)])
def test_a_syntax_that_allows_a_loss_is_noted_unless_the_header_denies_it(tmp_path, stated, noted):
    def edit(ds, _):
        ds.file_meta.TransferSyntaxUID = uid.JPEG2000
        if stated is not None:
            ds.LossyImageCompression = stated

    write_ct_series(tmp_path, made_hu(2), syntax="jpeg2000", edit=edit)
    assert any("with loss" in note for note in read_series(tmp_path).notes) == noted


def test_an_earlier_loss_is_noted_where_the_pixels_are_no_longer_compressed(tmp_path):
    write_ct_series(
        tmp_path, made_hu(2), edit=lambda ds, _: setattr(ds, "LossyImageCompression", "01")
    )
    assert "with loss (method not stated)" in read_series(tmp_path).notes[-1]


def test_compressed_pixels_of_a_file_that_states_no_method_are_refused(tmp_path):
    for file in write_ct_series(tmp_path, made_hu(2), syntax="jpeg-ls"):
        content = file.read_bytes()
        file.write_bytes(content[content.index(b"\x08\0\x16\0UI") :])
    with pytest.raises(DicomSeriesError, match="by a method that it does not state"):
        read_series(tmp_path)
