"""One file of an indexed study loses its end, or gets other bytes in header or pixels.

The file keeps its size where it can and its time of change always, so that only a hash can tell.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from core.constants import VERTEBRAE
from core.dataset.index import build_index, verify_index
from core.dataset.index_shards import StudyTask, index_study
from core.dicom.headers import read_headers
from core.dicom.series import read_series
from core.errors import CSpineError, DicomSeriesError
from core.system.parallel import Workers
from core.types import CTVolume
from tests.core.dicom.dicom_factory import made_hu, write_ct_series
from tests.robustness.verdicts import SEED, Family, Verdict, judged

SYNTAXES: Final = (
    "explicit", "implicit", "big-endian", "deflated", "jpeg-lossless", "jpeg-ls", "jpeg2000", "rle",
)  # fmt: skip
UID: Final = "1.2.826.0.1.81"
_HERE: Final = Workers(jobs=1)

Mutation = Callable[[bytes, int, np.random.Generator], bytes]


@dataclasses.dataclass(frozen=True)
class Indexed:
    """A study that was indexed while it was whole."""

    root: Path
    cache: Path
    whole: CTVolume
    pixels: int
    """Byte of the third file where its pixel data starts (or the compressed content)."""

    @property
    def folder(self) -> Path:
        return self.root / "train_images" / UID

    @property
    def file(self) -> Path:
        return self.folder / "3.dcm"


def _truncate(content: bytes, _pixels: int, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(0, len(content)))]


def _header(content: bytes, pixels: int, rng: np.random.Generator) -> bytes:
    return _overwritten(content, 128, pixels, rng, int(rng.integers(1, 9)))


def _pixels(content: bytes, pixels: int, rng: np.random.Generator) -> bytes:
    return _overwritten(content, pixels, len(content), rng, int(rng.integers(1, 5)))


def _anywhere(content: bytes, _pixels: int, rng: np.random.Generator) -> bytes:
    return _overwritten(content, 0, len(content), rng, int(rng.integers(1, 33)))


def _lengths(content: bytes, pixels: int, rng: np.random.Generator) -> bytes:
    """A length or tag of the header becomes an extreme."""
    place = int(rng.integers(132, pixels - 4))
    extreme = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\0\0", b"\xfe\xff\x00\xe0"])
    return content[:place] + bytes(extreme).ljust(4, b"\0") + content[place + 4 :]


def _gap(content: bytes, _pixels: int, rng: np.random.Generator) -> bytes:
    """A block is gone, as after a lost packet."""
    start, size = int(rng.integers(0, len(content))), int(rng.integers(1, 600))
    return content[:start] + content[start + size :]


def _zeros(content: bytes, _pixels: int, rng: np.random.Generator) -> bytes:
    """A block is nought, as after a crash of a file system."""
    start, size = int(rng.integers(0, len(content) - 1)), int(rng.integers(1, 600))
    size = min(size, len(content) - start)
    return content[:start] + bytes(size) + content[start + size :]


def _repeat(content: bytes, _pixels: int, rng: np.random.Generator) -> bytes:
    start, size = int(rng.integers(0, len(content))), int(rng.integers(1, 300))
    return content[: start + size] + content[start:]


MUTATIONS: Final[tuple[Mutation, ...]] = (
    _truncate, _header, _pixels, _header, _truncate, _lengths, _pixels, _anywhere, _header, _gap,
    _zeros, _repeat, _pixels,
)  # fmt: skip


def _overwritten(
    content: bytes, start: int, stop: int, rng: np.random.Generator, count: int
) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(start, stop, count):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


@functools.cache
def indexed(syntax: str) -> Indexed:
    """A study of four slices in some transfer syntax, written and indexed once a process."""
    place = Path(tempfile.mkdtemp(prefix=f"fuzz-{syntax}-"))
    root, cache = place / "root", place / "cache"
    smooth = made_hu(4, 24, 20, seed=3)
    write_ct_series(root / "train_images" / UID, smooth, syntax=syntax, study_uid=UID)
    header = "StudyInstanceUID,patient_overall," + ",".join(VERTEBRAE)
    (root / "train.csv").write_text(f"{header}\n{UID},{','.join('0' * 8)}\n")
    build_index(root, cache, workers=_HERE)
    whole = read_series(root / "train_images" / UID, jobs=1)
    (found,) = read_headers(root / "train_images" / UID / "3.dcm")
    assert found.pixel_offset is not None
    # Where the data set is deflated, everything beyond the file meta is "pixels".
    return Indexed(root, cache, whole, 330 if syntax == "deflated" else found.pixel_offset)


def mutate(number: int) -> tuple[str, Indexed, bytes, bytes]:
    """The mutation's name, the study, and the file's content before and after."""
    rng = np.random.default_rng([SEED, 1, number])
    study = indexed(SYNTAXES[number % len(SYNTAXES)])
    mutation = MUTATIONS[number // len(SYNTAXES) % len(MUTATIONS)]
    content = study.file.read_bytes()
    changed = mutation(content, study.pixels, rng)
    while changed == content:
        changed = mutation(content, study.pixels, rng)
    return f"{SYNTAXES[number % len(SYNTAXES)]} {mutation.__name__[1:]}", study, content, changed


def play(number: int, place: Path) -> Verdict:
    label, study, content, changed = mutate(number)
    before = study.file.stat()
    study.file.write_bytes(changed)
    os.utime(study.file, ns=(before.st_atime_ns, before.st_mtime_ns))
    try:
        return judged(label, lambda: _judge(study, place))
    finally:
        study.file.write_bytes(content)
        os.utime(study.file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _judge(study: Indexed, place: Path) -> Verdict:
    index_study(StudyTask(UID, study.folder, place / "shard.parquet", fresh=True))
    named = verify_index(study.root, study.cache, workers=_HERE)
    try:
        volume = read_series(study.folder, jobs=1)
    except DicomSeriesError:
        if named != [study.file]:
            return Verdict("silent", f"the hash names {len(named)} files")
        raise
    except CSpineError as error:
        return Verdict("crash", f"{type(error).__name__} is not for a series")
    if named != [study.file]:
        return Verdict("silent", f"the hash names {len(named)} files")
    if same_volume(volume, study.whole):
        return Verdict("read")
    return Verdict("noted" if set(volume.notes) - set(study.whole.notes) else "hash")


def same_volume(one: CTVolume, other: CTVolume) -> bool:
    """Whether voxels and places are equal."""
    return (
        np.array_equal(one.hu, other.hu)
        and np.array_equal(one.affine, other.affine)
        and np.array_equal(one.z_mm, other.z_mm)
        and one.spacing_mm == other.spacing_mm
    )


FAMILY: Final = Family("byte mutations", 5000, 16, play)
