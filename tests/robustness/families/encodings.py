"""The same pixels in every wrapping that is met: bare files, padding, rests of buffers, a stream
that contradicts its header, and compression with loss.

The oracle is the array that was written; with loss, how far the decoder may be from it.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from core.dicom.series import read_series
from tests.core.dicom.dicom_factory import SYNTAXES, made_hu, write_ct_series
from tests.robustness.verdicts import SEED, Family, Verdict, judged

PLAIN: Final = ("implicit", "explicit", "big-endian")
STREAMS: Final = ("jpeg-lossless", "jpeg-ls", "jpeg2000", "htj2k")


def play(number: int, place: Path) -> Verdict:
    rng = np.random.default_rng([SEED, 32, number])
    kinds = (_bare, _padded, _rest, _contradiction, _lossy, _cut_stream)
    judge = kinds[number % len(kinds)]
    return judged(judge.__name__[1:], lambda: judge(rng, place))


def _bare(rng: np.random.Generator, place: Path) -> Verdict:
    """Without the preamble, and without the file meta group where that can be missed."""
    syntax = str(rng.choice(list(SYNTAXES)))
    hu = made_hu(3, seed=int(rng.integers(1 << 30)))
    drop_meta = syntax in PLAIN and bool(rng.integers(2))
    for file in write_ct_series(place / "s", hu, syntax=syntax):
        content = file.read_bytes()
        (length,) = struct.unpack_from("<L", content, 140)
        file.write_bytes(content[144 + length if drop_meta else 132 :])
    return _same(place, hu)


def _padded(rng: np.random.Generator, place: Path) -> Verdict:
    rest = bytes(2 * int(rng.integers(1, 3000)))
    if rng.integers(2):
        rest = rest[:-1] + b"\1"
    hu = made_hu(3)
    write_ct_series(place / "s", hu, edit=lambda ds, _: _append(ds, rest))
    return _same(place, hu, noted=True)


def _append(ds: Dataset, rest: bytes) -> None:
    ds.PixelData += rest


def _rest(rng: np.random.Generator, place: Path) -> Verdict:
    rest = rng.integers(0, 255, int(rng.integers(1, 5000)), dtype=np.uint8).tobytes()

    def edit(ds: Dataset, _: int) -> None:
        (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
        ds.PixelData = encapsulate([frame + rest])

    hu = made_hu(2)
    write_ct_series(place / "s", hu, syntax=str(rng.choice(STREAMS)), edit=edit)
    return _same(place, hu)


def _contradiction(rng: np.random.Generator, place: Path) -> Verdict:
    """A JPEG 2000 stream whose precision and sign are not those of the header."""
    bits, signed = int(rng.integers(9, 16)), bool(rng.integers(2))
    low = -(1 << (bits - 1)) if signed else 0
    values = rng.integers(low, low + (1 << bits), (12, 10))
    in_stream = values if rng.integers(2) and signed else values & ((1 << bits) - 1)
    pixels = in_stream.astype(np.int16 if in_stream.min() < 0 else np.uint16)

    def edit(ds: Dataset, _: int) -> None:
        frame = imagecodecs.jpeg2k_encode(
            pixels, level=0, codecformat="j2k", reversible=True, bitspersample=bits
        )
        ds.PixelData = encapsulate([bytes(frame)])
        ds["PixelData"].VR = "OB"

    write_ct_series(
        place / "s", made_hu(2), syntax="jpeg2000", signed=signed, intercept=0.0, edit=edit,
        bits_stored=int(rng.integers(bits, 17)),
    )  # fmt: skip
    return _same(place, np.stack([values, values]))


def _lossy(rng: np.random.Generator, place: Path) -> Verdict:
    y, x = np.mgrid[-32:32, -32:32]
    smooth = np.hypot(y * rng.uniform(0.5, 1), x) * 40 - 800
    kind = str(rng.choice(["JPEG2000", "HTJ2K", "JPEGLSNearLossless", "JPEGExtended12Bit"]))
    encoders: dict[str, Any] = {
        "JPEG2000": lambda a: imagecodecs.jpeg2k_encode(
            a, level=70, codecformat="j2k", bitspersample=12
        ),
        "HTJ2K": lambda a: imagecodecs.htj2k_encode(a, level=0.0002, reversible=False),
        "JPEGLSNearLossless": lambda a: imagecodecs.jpegls_encode(a, level=3),
        "JPEGExtended12Bit": lambda a: imagecodecs.jpeg8_encode(a, level=95, bitspersample=12),
    }

    def edit(ds: Dataset, _: int) -> None:
        pixels = np.frombuffer(ds.PixelData, "<u2").reshape(64, 64)
        ds.PixelData = encapsulate([bytes(encoders[kind](pixels))])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = getattr(uid, kind)

    write_ct_series(place / "s", smooth.astype(np.int16)[None], bits_stored=12, edit=edit)
    volume = read_series(place / "s", jobs=1)
    if np.abs(volume.hu[0] - smooth).max() > 60:
        return Verdict("silent", f"{kind} is off by {np.abs(volume.hu[0] - smooth).max():.0f} HU")
    noted = any("with loss" in note for note in volume.notes)
    return Verdict("noted" if noted else "silent", kind)


def _cut_stream(rng: np.random.Generator, place: Path) -> Verdict:
    """A stream loses its end, with an end marker behind the cut or without."""
    marker = b"\xff\xd9" if rng.integers(2) else b""
    share = float(rng.uniform(0.2, 0.95))
    smooth = (np.hypot(*np.mgrid[-32:32, -32:32]) * 40 - 800).astype(np.int16)
    noisy = smooth + rng.normal(0, 20, smooth.shape).astype(np.int16)
    syntax = str(rng.choice(STREAMS))

    def edit(ds: Dataset, _: int) -> None:
        (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
        ds.PixelData = encapsulate([frame[: int(share * len(frame))] + marker])

    hu = np.stack([noisy, noisy])
    write_ct_series(place / "s", hu, syntax=syntax, edit=edit)
    # A codec may fill in what is missing behind a marker that fits; then the hash alone can tell.
    return _same(place, hu, otherwise="hash" if marker else "silent")


def _same(place: Path, hu: Any, *, noted: bool = False, otherwise: str = "silent") -> Verdict:
    volume = read_series(place / "s", jobs=1)
    if not np.array_equal(volume.hu, hu):
        return Verdict(otherwise, "other pixels than were written")
    if noted != bool(volume.notes):
        return Verdict("silent", f"notes: {volume.notes}")
    return Verdict("noted" if noted else "read")


FAMILY: Final = Family("encodings", 300, 11, play)
