"""NIfTI masks that are cut off, altered, or claim more than there is."""

from __future__ import annotations

import functools
import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np

from core.dataset.masks import load_vertebra_mask
from core.types import CTVolume
from tests.robustness.verdicts import SEED, Family, Verdict, judged

SHAPE: Final = (6, 12, 10)
TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


@functools.cache
def volume() -> CTVolume:
    """A volume of six slices, 2 mm apart, its axes along the patient's."""
    affine = np.array(
        [[0, 0, 0.5, -10.0], [0, 0.5, 0, -20.0], [-2.0, 0, 0, 100.0], [0, 0, 0, 1]], np.float64
    )
    return CTVolume(
        hu=np.full(SHAPE, 400, np.int16),
        spacing_mm=(2.0, 0.5, 0.5),
        affine=affine,
        z_mm=100.0 - 2.0 * np.arange(SHAPE[0]),
        instance_numbers=tuple(range(1, SHAPE[0] + 1)),
        source_files=tuple(Path(f"{k}.dcm") for k in range(SHAPE[0])),
        study_uid="1.2.3",
        series_uid="1.2.4",
        slice_thickness_mm=2.0,
        notes=(),
        shift_px=None,
    )


@functools.cache
def whole() -> tuple[bytes, np.ndarray]:
    """The bytes of a sound mask, and its labels on the volume's grid, uint8 (z, y, x)."""
    labels = np.random.default_rng(SEED).integers(0, 8, SHAPE).astype(np.uint8)
    return nib.Nifti1Image(labels, TO_RAS @ volume().affine).to_bytes(), labels


def _packed(place: str, form: str, value: float) -> Callable[[bytes], bytes]:
    offset = {"dim": 40, "datatype": 70, "vox_offset": 108, "slope": 112, "qform": 252,
              "sform": 254, "srow": 280, "magic": 344, "size": 0, "dim1": 42}[place]  # fmt: skip

    def change(raw: bytes) -> bytes:
        new = struct.pack(form, value)
        return raw[:offset] + new + raw[offset + len(new) :]

    return change


CHANGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "no bytes": lambda raw: b"",
    "text": lambda raw: b"this is no mask\n" * 40,
    "header only": lambda raw: raw[:352],
    "last byte gone": lambda raw: raw[:-1],
    "dimensions 8": _packed("dim", "<h", 8),
    "dimensions -1": _packed("dim", "<h", -1),
    "dimensions 0": _packed("dim", "<h", 0),
    "30,000 wide": lambda raw: raw[:42] + struct.pack("<3h", *[30_000] * 3) + raw[48:],
    "negative width": _packed("dim1", "<h", -5),
    "no width": _packed("dim1", "<h", 0),
    "unknown type": _packed("datatype", "<h", 9999),
    "float type": _packed("datatype", "<h", 16),
    "colour type": _packed("datatype", "<h", 128),
    "complex type": _packed("datatype", "<h", 32),
    "offset beyond": _packed("vox_offset", "<f", 1e9),
    "offset NaN": _packed("vox_offset", "<f", float("nan")),
    "offset negative": _packed("vox_offset", "<f", -400.0),
    "slope NaN": _packed("slope", "<f", float("nan")),
    "slope 0.3": _packed("slope", "<f", 0.3),
    "slope inf": _packed("slope", "<f", float("inf")),
    "affine NaN": _packed("srow", "<f", float("nan")),
    "affine inf": _packed("srow", "<f", float("inf")),
    "affine huge": _packed("srow", "<f", 1e38),
    "affine nought": lambda raw: raw[:280] + bytes(48) + raw[328:],
    "no place": lambda raw: raw[:252] + bytes(4) + raw[256:],
    "no magic": _packed("magic", "<f", 0.0),
    "size 0": _packed("size", "<i", 0),
    "labels 200": lambda raw: raw[:352] + b"\xc8" * (len(raw) - 352),
}  # fmt: skip


def play(number: int, place: Path) -> Verdict:
    raw, _ = whole()
    packed = number % 2 == 1
    name = "mutated"
    if number < 2 * len(CHANGES):
        name = list(CHANGES)[number // 2]
        changed = CHANGES[name](raw)
    else:
        rng = np.random.default_rng([SEED, 9, number])
        altered = bytearray(raw)
        for byte in rng.integers(0, 352, int(rng.integers(1, 8))):
            altered[byte] ^= int(rng.integers(1, 256))
        changed = bytes(altered[: int(rng.integers(1, len(altered) + 1))])
        if number % 4 == 0:
            changed = bytes(altered)
    path = place / ("mask.nii.gz" if packed else "mask.nii")
    path.write_bytes(gzip.compress(changed) if packed else changed)
    return judged(f"{name}{' .gz' if packed else ''}", lambda: _judge(path))


def _judge(path: Path) -> Verdict:
    mask = load_vertebra_mask(path, volume())
    expected = whole()[1]
    if mask.shape != SHAPE or mask.dtype != np.uint8 or mask.max() > 19:
        return Verdict("silent", f"{mask.dtype} {mask.shape} up to {mask.max()}")
    # Another affine or slope in the header is what the file now says; no more can be known.
    return Verdict("read" if np.array_equal(mask, expected) else "noted")


FAMILY: Final = Family("NIfTI masks", 120, 6, play)
