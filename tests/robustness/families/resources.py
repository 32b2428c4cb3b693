"""Small files that ask for a lot: absurd sizes, deep nesting, streams that swell."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.dicom.series import read_series
from tests.core.dicom.dicom_factory import made_hu, write_ct_series
from tests.robustness.verdicts import SEED, Family, Verdict, judged

Attack = Callable[[Path, np.random.Generator], None]


def _edited(syntax: str, keywords: dict[str, Any], n: int = 2) -> Attack:
    """Every header claims something; the pixels stay as small as they are."""

    def attack(folder: Path, _rng: np.random.Generator) -> None:
        def edit(dataset: Any, _index: int) -> None:
            for keyword, value in keywords.items():
                setattr(dataset, keyword, value)

        write_ct_series(folder, made_hu(n, 12, 10), syntax=syntax, edit=edit)

    return attack


def _stream_claims(syntax: str, marker: bytes, skip: int, size: bytes) -> Attack:
    """The compressed stream itself claims an absurd size, and so does the header."""

    def attack(folder: Path, _rng: np.random.Generator) -> None:
        for path in write_ct_series(folder, made_hu(2, 12, 10), syntax=syntax):
            raw = bytearray(path.read_bytes())
            place = raw.index(marker) + skip
            raw[place : place + len(size)] = size
            rows = raw.index(b"\x28\x00\x10\x00US") + 8
            raw[rows : rows + 2] = b"\x00\x10"
            columns = raw.index(b"\x28\x00\x11\x00US") + 8
            raw[columns : columns + 2] = b"\x00\x10"
            path.write_bytes(bytes(raw))

    return attack


def _preamble(syntax: bytes) -> bytes:
    padded = syntax + b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + b"\x02\0\x10\0UI" + struct.pack("<H", len(padded)) + padded


_EXPLICIT: Final = _preamble(b"1.2.840.10008.1.2.1")
_IMPLICIT: Final = _preamble(b"1.2.840.10008.1.2")
_DEFLATED: Final = _preamble(b"1.2.840.10008.1.2.1.99")
_BIG: Final = _preamble(b"1.2.840.10008.1.2.2")
_OPEN: Final = struct.pack("<L", 0xFFFFFFFF)
_SEQUENCE: Final = b"\x40\0\x75\x02SQ\0\0" + _OPEN
_ITEM: Final = b"\xfe\xff\0\xe0" + _OPEN


def _raw(content: Callable[[], bytes], files: int = 1) -> Attack:
    def attack(folder: Path, _rng: np.random.Generator) -> None:
        folder.mkdir(parents=True)
        for number in range(files):
            (folder / f"{number + 1}.dcm").write_bytes(content())

    return attack


def _nested(levels: int, head: bytes, item: bytes) -> Attack:
    return _raw(lambda: head + item * levels)


def _inflating(megabytes: int, files: int = 1) -> Attack:
    """A deflated data set of noughts, a thousand times larger than its file."""

    def content() -> bytes:
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        zeros = bytes(1 << 20)
        return (
            _DEFLATED
            + b"".join(squeeze.compress(zeros) for _ in range(megabytes))
            + squeeze.flush()
        )

    return _raw(content, files)


def _deflated_image(edge: int) -> Attack:
    """A sound deflated file of a claimed edge whose pixels are noughts."""

    def attack(folder: Path, _rng: np.random.Generator) -> None:
        write_ct_series(folder, np.full((6, edge, edge), -1024, np.int16), syntax="deflated")

    return attack


def _claimed_length(length: int) -> Attack:
    """PixelData claims more bytes than there are."""

    def attack(folder: Path, _rng: np.random.Generator) -> None:
        for path in write_ct_series(folder, made_hu(3, 12, 10)):
            raw = bytearray(path.read_bytes())
            place = raw.index(b"\xe0\x7f\x10\x00OW") + 8
            raw[place : place + 4] = struct.pack("<L", length)
            path.write_bytes(bytes(raw))

    return attack


def _rle_runs(folder: Path, _rng: np.random.Generator) -> None:
    """RLE whose runs would unpack to far more than the slice."""
    for path in write_ct_series(folder, made_hu(2, 12, 10), syntax="rle"):
        raw = path.read_bytes()
        start = raw.index(b"\xe0\x7f\x10\x00")
        frame = struct.pack("<16L", 2, 64, 65_600, *[0] * 13) + b"\x81\x00" * 65_536
        frame = frame[:200_000]
        path.write_bytes(
            raw[:start] + b"\xe0\x7f\x10\x00OB\0\0" + _OPEN
            + b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0" + struct.pack("<L", len(frame)) + frame
            + b"\xfe\xff\xdd\xe0\0\0\0\0"
        )  # fmt: skip


def _many_fragments(folder: Path, _rng: np.random.Generator) -> None:
    for path in write_ct_series(folder, made_hu(2, 12, 10), syntax="jpeg-lossless"):
        raw = path.read_bytes()
        start = raw.index(b"\xe0\x7f\x10\x00OB") + 12
        path.write_bytes(raw[:start] + b"\xfe\xff\0\xe0\0\0\0\0" * 2_000_000)


def _sparse(gigabytes: int) -> Attack:
    """A file of noughts behind a header: huge on paper, small on disk."""

    def attack(folder: Path, _rng: np.random.Generator) -> None:
        folder.mkdir(parents=True)
        with (folder / "1.dcm").open("wb") as file:
            file.write(_EXPLICIT)
            file.truncate(gigabytes << 30)

    return attack


def _long_text(megabytes: int) -> Attack:
    def content() -> bytes:
        size = megabytes << 20
        return _EXPLICIT + b"\x08\0\x60\0UT\0\0" + struct.pack("<L", size) + b"A" * size

    return _raw(content)


def _numbers(text: str) -> Attack:
    """A number that is a megabyte long, or other abuse of decimal strings."""

    def attack(folder: Path, _rng: np.random.Generator) -> None:
        value = text.encode()
        value += b" " * (len(value) % 2)
        for path in write_ct_series(folder, made_hu(2, 12, 10), syntax="implicit"):
            raw = path.read_bytes()
            start = raw.index(b"\x28\x00\x53\x10")
            size = int.from_bytes(raw[start + 4 : start + 8], "little")
            path.write_bytes(
                raw[: start + 4] + struct.pack("<L", len(value)) + value + raw[start + 8 + size :]
            )

    return attack


_HUGE: Final = {"Rows": 65535, "Columns": 65535}
_EDGE: Final = {"Rows": 4096, "Columns": 4096}

ATTACKS: Final[dict[str, Attack]] = {
    **{f"Rows = Columns = 65535, {s}": _edited(s, _HUGE)
       for s in ("explicit", "implicit", "big-endian", "deflated", "jpeg-lossless", "jpeg-ls",
                 "jpeg2000", "rle")},
    **{f"4096 x 4096 claimed, {s}": _edited(s, _EDGE, 20)
       for s in ("explicit", "big-endian", "deflated", "jpeg-lossless", "jpeg-ls", "jpeg2000",
                 "rle")},
    "200 slices of 4096 x 4096": _edited("explicit", _EDGE, 200),
    "120 slices of 4096 x 4096": _edited("explicit", _EDGE, 120),
    "120 packed slices of 4096 x 4096": _edited("jpeg-lossless", _EDGE, 120),
    "NumberOfFrames": _edited("explicit", {"NumberOfFrames": "2000000000"}),
    "SamplesPerPixel": _edited("explicit", {"SamplesPerPixel": 65535}),
    "Rows = 0": _edited("explicit", {"Rows": 0}),
    "JPEG frame of 65535": _stream_claims("jpeg-lossless", b"\xff\xc3", 5, b"\xff\xff\xff\xff"),
    "JPEG frame of 4096": _stream_claims("jpeg-lossless", b"\xff\xc3", 5, b"\x10\0\x10\0"),
    "JPEG-LS frame of 65535": _stream_claims("jpeg-ls", b"\xff\xf7", 5, b"\xff\xff\xff\xff"),
    "JPEG-LS frame of 4096": _stream_claims("jpeg-ls", b"\xff\xf7", 5, b"\x10\0\x10\0"),
    "JPEG 2000 of 2^31": _stream_claims("jpeg2000", b"\xff\x51", 6, b"\x7f\xff\xff\xff" * 2),
    "JPEG 2000 of 4096": _stream_claims("jpeg2000", b"\xff\x51", 6, b"\0\0\x10\0" * 2),
    "JPEG 2000 tiles of one pixel": _stream_claims(
        "jpeg2000", b"\xff\x51", 6,
        b"\0\0\x10\0" * 2 + bytes(8) + b"\0\0\0\x01" * 2),
    "RLE runs": _rle_runs,
    "two million fragments": _many_fragments,
    "sequences 500 deep": _nested(500, _EXPLICIT, _SEQUENCE + _ITEM),
    "sequences 100,000 deep": _nested(100_000, _EXPLICIT, _SEQUENCE + _ITEM),
    "implicit 100,000 deep": _nested(100_000, _IMPLICIT, b"\x40\0\x75\x02" + _OPEN + _ITEM),
    "big-endian 100,000 deep": _nested(
        100_000, _BIG, b"\0\x40\x02\x75SQ\0\0" + _OPEN + b"\xff\xfe\xe0\0" + _OPEN),
    "items 1,000,000 long": _raw(
        lambda: _EXPLICIT + _SEQUENCE + b"\xfe\xff\0\xe0\0\0\0\0" * 1_000_000),
    "1,000,000 elements": _raw(
        lambda: _EXPLICIT + b"".join(
            struct.pack("<HH2sH", 0x0009 + 2 * (k >> 16), k & 0xFFFF, b"LO", 0)
            for k in range(1_000_000))),
    "deflate bomb of 90 MiB": _inflating(90),
    "deflate bomb of 1 GiB": _inflating(1024),
    "16 deflate bombs": _inflating(90, 16),
    "deflated noughts of 2048 x 2048": _deflated_image(2048),
    "PixelData of 4 GiB": _claimed_length(0xFFFFFFFE),
    "PixelData of 2 GiB": _claimed_length(0x7FFFFFFE),
    "PixelData without a length": _claimed_length(0xFFFFFFFF),
    "a file of 8 GiB": _sparse(8),
    "a text of 64 MiB": _long_text(64),
    "a number of a megabyte": _numbers("1" * (1 << 20)),
    "a list of 500,000 numbers": _numbers("1\\" * 500_000 + "1"),
    "a number that is none": _numbers("1e99999999999"),
    "digits of other scripts": _numbers("١٢٣"),
    "20,000 files": _raw(lambda: _EXPLICIT, 20_000),
}  # fmt: skip


def play(number: int, place: Path) -> Verdict:
    name = list(ATTACKS)[number]
    rng = np.random.default_rng([SEED, 4, number])

    def act() -> Verdict:
        ATTACKS[name](place / "s", rng)
        volume = read_series(place / "s")
        expected = (np.full_like(volume.hu, -1024), made_hu(len(volume.hu), 12, 10))
        right = any(np.array_equal(volume.hu, hu) for hu in expected)
        return Verdict("read" if right else "silent", f"{volume.hu.shape}")

    return judged(name, act)


FAMILY: Final = Family("resources", len(ATTACKS), 3, play)
