"""Stored values to HU: sign, inversion, padding, rounding and clipping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dicom.headers import PixelFormat
from core.dicom.pixels import to_hu
from core.dicom.series import read_series
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
