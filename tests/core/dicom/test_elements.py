"""The quick walk over a header against pydicom's parser, and headers that break the standard."""

from __future__ import annotations

import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.dicom import elements
from core.dicom.headers import read_headers
from core.dicom.metadata import read_metadata
from core.dicom.series import read_series
from core.errors import DicomSeriesError
from tests.core.dicom.dicom_factory import SYNTAXES, made_hu, write_ct_series


def with_sequences(ds, _k):
    """Add nested sequences, of undefined and of stated length, and a private block."""
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3"
    inner.Rows = 999
    outer = Dataset()
    outer.ReferencedSeriesSequence = Sequence([inner])
    outer["ReferencedSeriesSequence"].is_undefined_length = True
    outer.is_undefined_length_sequence_item = True
    ds.ReferencedImageSequence = Sequence([outer, inner])
    ds["ReferencedImageSequence"].is_undefined_length = True
    ds.ReferencedStudySequence = Sequence([inner])
    block = ds.private_block(0x0029, "MADE UP", create=True)
    block.add_new(0x10, "OB", b"\x01\x02" * 50)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("edit", [None, with_sequences])
def test_the_quick_walk_reads_what_pydicom_reads(tmp_path, monkeypatch, syntax, edit):
    (file,) = write_ct_series(tmp_path, made_hu(1), syntax=syntax, padding=7, edit=edit)
    (quick,) = read_headers(file)

    def never(*_):
        raise elements.NotPlainError

    monkeypatch.setattr(elements, "_walk_data_set", never)
    assert read_headers(file) == (quick,)
    assert quick.rows == 12
    assert quick.format.padding == (7, 7)


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "jpeg-ls"])
def test_plain_files_never_need_the_general_parser(tmp_path, monkeypatch, syntax):
    write_ct_series(tmp_path, made_hu(2), syntax=syntax, edit=with_sequences)
    monkeypatch.setattr(elements, "_parse", lambda *_: pytest.fail("was needed"))
    assert read_series(tmp_path).n_slices == 2


def test_a_header_beyond_the_first_bytes_is_read(tmp_path):
    def edit(ds, _k):
        block = ds.private_block(0x0009, "MADE UP", create=True)
        block.add_new(0x10, "OB", b"\0" * (2 * elements.HEAD_BYTES))

    hu = made_hu(2)
    write_ct_series(tmp_path, hu, edit=edit)
    assert (read_series(tmp_path).hu == hu).all()


def test_a_private_element_whose_value_breaks_its_representation_does_no_harm(tmp_path):
    hu = made_hu(2)
    for file in write_ct_series(tmp_path, hu):
        content = file.read_bytes()
        private = struct.pack("<HH2sH", 0x0009, 0x1010, b"FD", 6) + b"broken"
        at = content.index(struct.pack("<HH", 0x0010, 0x0010) + b"PN")
        file.write_bytes(content[:at] + private + content[at:])
    assert (read_series(tmp_path).hu == hu).all()


def test_an_element_longer_than_the_file_is_an_error(tmp_path):
    files = write_ct_series(tmp_path, made_hu(2))
    content = files[0].read_bytes()
    at = content.index(struct.pack("<HH", 0x0020, 0x0032))
    files[0].write_bytes(content[: at + 6] + b"\xff\xff" + content[at + 8 :])
    with pytest.raises(DicomSeriesError, match=r"1\.dcm"):
        read_series(tmp_path)


def test_a_deflated_file_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(elements, "_MAX_INFLATED", 10_000)
    files = write_ct_series(tmp_path, made_hu(2), syntax="deflated")
    content = files[0].read_bytes()
    (group_length,) = struct.unpack_from("<L", content, 140)
    packer = zlib.compressobj(wbits=-15)
    modality = b"\x08\0\x60\0CS\x02\0CT"
    bomb = packer.compress(modality + b"\0" * 1_000_000) + packer.flush()
    files[0].write_bytes(content[: 144 + group_length] + bomb)
    with pytest.raises(DicomSeriesError, match="larger than any CT slice"):
        read_series(tmp_path)


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big-endian", "jpeg-lossless"])
def test_damaged_headers_raise_only_the_typed_error_and_quote_nothing(tmp_path, caplog, syntax):
    rng = random.Random(0)
    (file,) = write_ct_series(tmp_path, made_hu(1), syntax=syntax, edit=with_sequences)
    content = file.read_bytes()
    told = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(300):
            broken = bytearray(content)
            for _ in range(rng.randint(1, 8)):
                broken[rng.randrange(128, len(broken))] = rng.randrange(256)
            file.write_bytes(broken[: rng.randint(140, len(broken))])
            try:
                read_series(tmp_path)
            except DicomSeriesError as error:
                told.append(str(error))
    told += [caplog.text, *(str(warning.message) for warning in caught)]
    assert not [text for text in told if "Made^" in text or "MADE-" in text]


def bare(file: Path, kind: str) -> None:
    """Take the preamble from a file, and the file meta group or its transfer syntax with it."""
    content = file.read_bytes()
    (length,) = struct.unpack_from("<L", content, 140)
    meta, data_set = content[132 : 144 + length], content[144 + length :]
    if kind == "no preamble":
        file.write_bytes(meta + data_set)
    elif kind == "no meta":
        file.write_bytes(data_set)
    elif kind == "preamble but no meta":
        file.write_bytes(content[:132] + data_set)
    else:
        at = meta.index(b"\x02\0\x10\0UI")
        (size,) = struct.unpack_from("<H", meta, at + 6)
        file.write_bytes(content[:132] + meta[:at] + meta[at + 8 + size :] + data_set)


BARE = ("no preamble", "no meta", "preamble but no meta", "no transfer syntax")


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big-endian"])
@pytest.mark.parametrize("kind", BARE)
def test_files_without_preamble_meta_group_or_transfer_syntax_are_read(tmp_path, syntax, kind):
    hu = made_hu(3)
    files = write_ct_series(tmp_path, hu, syntax=syntax, edit=with_sequences)
    for file in files:
        bare(file, kind)
        ds = pydicom.dcmread(file, force=True)
        assert ds.original_encoding == (syntax == "implicit", syntax != "big-endian")
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.notes == ()
    assert read_metadata(files[0]).groups["Geometry"]


@pytest.mark.parametrize("syntax", ["jpeg-lossless", "rle", "deflated"])
def test_a_compressed_file_may_lack_the_preamble(tmp_path, syntax):
    hu = made_hu(2)
    for file in write_ct_series(tmp_path, hu, syntax=syntax):
        bare(file, "no preamble")
    np.testing.assert_array_equal(read_series(tmp_path).hu, hu)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x08\0", b"\x08\0\x05\0", b"\x02\0\0\0UL\x04\0", bytes(1000), b"\x08" * 200,
        b"\x08\0" * 400, b"\x02\0\x01\0" + bytes(60), b"PK\x03\x04" + bytes(400),
        b"%PDF-1.4\n" * 50,
        b"\0\x08\0\x05\0\0\0\x02AB" * 20,
    ],
)  # fmt: skip
def test_other_files_are_not_taken_for_bare_dicom(tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    assert read_headers(tmp_path / "other") == ()


def test_a_bomb_without_elements_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    monkeypatch.setattr(elements, "inflate", lambda *_: pytest.fail("was inflated"))
    files = write_ct_series(tmp_path, made_hu(2), syntax="deflated")
    for file in files:
        content = file.read_bytes()
        (group_length,) = struct.unpack_from("<L", content, 140)
        packer = zlib.compressobj(wbits=-15)
        bomb = packer.compress(b"\0" * 1_000_000) + packer.flush()
        file.write_bytes(content[: 144 + group_length] + bomb)
    with pytest.raises(DicomSeriesError, match="deflated content is broken"):
        read_series(tmp_path)
