"""Enhanced CT files, sound and damaged: a stack of frames equals the series that it was made from.

The oracle is the series of single-frame files: it is read by another way through the package, and
its own families compare that way with formulas.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from core.dataset.index_shards import StudyTask, index_study, read_shard
from core.dicom.series import read_series
from core.errors import DicomSeriesError
from tests.core.dicom.dicom_factory import SYNTAXES, made_hu, write_ct_series
from tests.core.dicom.enhanced_factory import MACROS, write_enhanced_ct
from tests.robustness.families.byte_mutations import same_volume
from tests.robustness.verdicts import SEED, Family, Verdict, judged

READ: Final = [name for name in SYNTAXES if name not in ("big-endian", "deflated")]
Damage = Callable[[Dataset, np.random.Generator], Any]


def _drop_group(ds: Dataset, rng: np.random.Generator) -> None:
    item = ds.PerFrameFunctionalGroupsSequence[int(rng.integers(5))]
    del item[item[rng.choice(["PlanePositionSequence", "FrameContentSequence"])].tag]


def _drop_item(ds: Dataset, rng: np.random.Generator) -> None:
    items = list(ds.PerFrameFunctionalGroupsSequence)
    del items[int(rng.integers(5))]
    ds.PerFrameFunctionalGroupsSequence = Items(items)


def _other_count(ds: Dataset, rng: np.random.Generator) -> None:
    ds.NumberOfFrames = int(rng.choice([0, 1, 2, 4, 6, 500, 9_999, 2**31 - 1]))


def _other_position(ds: Dataset, rng: np.random.Generator) -> None:
    group = ds.PerFrameFunctionalGroupsSequence[int(rng.integers(5))].PlanePositionSequence[0]
    group["ImagePositionPatient"]._value = ["nan", "1e400", "x"][: int(rng.integers(1, 4))]


def _empty_shared(ds: Dataset, _rng: np.random.Generator) -> None:
    ds.SharedFunctionalGroupsSequence = Items([])


def _other_rows(ds: Dataset, rng: np.random.Generator) -> None:
    ds.Rows = int(rng.choice([0, 1, 11, 13, 24, 65_535]))


DAMAGES: Final[tuple[Damage, ...]] = (
    _drop_group, _drop_item, _other_count, _other_position, _empty_shared, _other_rows,
)  # fmt: skip


def play(number: int, place: Path) -> Verdict:
    rng = np.random.default_rng([SEED, 31, number])
    syntax = READ[number % len(READ)]
    kind = number // len(READ) % 3
    if kind == 0:
        return judged(f"{syntax} sound", lambda: _judge_sound(rng, place, syntax))
    if kind == 1:
        damage = DAMAGES[int(rng.integers(len(DAMAGES)))]
        label = f"{syntax} {damage.__name__[1:]}"
        return judged(label, lambda: _judge_damage(rng, place, syntax, damage))
    return judged(f"{syntax} bytes", lambda: _judge_bytes(rng, place, syntax))


def _judge_sound(rng: np.random.Generator, place: Path, syntax: str) -> Verdict:
    n = int(rng.integers(1, 9))
    slopes = rng.choice([0.5, 1.0, 2.0], n) if rng.integers(2) else np.ones(n)

    def edit(ds: Dataset, k: int) -> None:
        ds.RescaleSlope = f"{slopes[k]:g}"

    singles = write_ct_series(
        place / "singles", made_hu(n, seed=int(rng.integers(1 << 30))), edit=edit,
        signed=bool(rng.integers(2)), padding=int(rng.integers(1000)), intercept=-1000.0,
    )  # fmt: skip
    order = rng.permutation(n)
    own = "PixelValueTransformationSequence" if len(set(slopes)) > 1 else None
    shared = [name for name in tuple(MACROS)[1:] if name != own and rng.integers(4)]
    write_enhanced_ct(
        [singles[k] for k in order], place / "e" / "1.dcm", syntax=syntax, shared=shared,
        table=str(rng.choice(["none", "basic"])), undefined_lengths=bool(rng.integers(2)),
        fragments=1 if syntax == "rle" else int(rng.integers(1, 4)),
    )  # fmt: skip
    whole, volume = read_series(place / "singles", jobs=1), read_series(place / "e", jobs=1)
    if not same_volume(volume, whole) or volume.notes != whole.notes:
        return Verdict("silent", "differs from its single frames")
    return Verdict("read")


def _judge_damage(rng: np.random.Generator, place: Path, syntax: str, damage: Damage) -> Verdict:
    singles = write_ct_series(place / "singles", made_hu(5))
    write_enhanced_ct(
        singles, place / "e" / "1.dcm", syntax=syntax, edit=lambda ds: damage(ds, rng)
    )
    _judge_index(place)
    whole, volume = read_series(place / "singles", jobs=1), read_series(place / "e", jobs=1)
    if same_volume(volume, whole) and volume.notes == whole.notes:
        return Verdict("read")
    return Verdict("noted" if volume.notes else "silent", f"{volume.n_slices} slices, no note")


def _judge_bytes(rng: np.random.Generator, place: Path, syntax: str) -> Verdict:
    """Bytes of the functional groups or of the fragments' headers change, or the end is missing."""
    singles = write_ct_series(place / "singles", made_hu(5))
    file = write_enhanced_ct(singles, place / "e" / "1.dcm", syntax=syntax)
    whole = read_series(place / "e", jobs=1)
    content = bytearray(file.read_bytes())
    start = content.index(struct.pack("<HH", 0x5200, 0x9229))
    stop = content.index(struct.pack("<HH", 0x7FE0, 0x0010), start) + 32
    for at in rng.integers(start, stop, int(rng.integers(1, 9))):
        content[at] = rng.integers(256)
    keep = len(content) if rng.integers(2) else int(rng.integers(start, len(content)))
    file.write_bytes(content[:keep])
    # Positions and slopes may well become others that are as good; only the hash can tell.
    _judge_index(place)
    volume = read_series(place / "e", jobs=1)
    return Verdict("read" if same_volume(volume, whole) else "hash")


def _judge_index(place: Path) -> None:
    """The index and `read_series` agree about what can be read."""
    shard = place / "shard.parquet"
    index_study(StudyTask("1.2", place / "e", shard, fresh=True))
    found = read_shard(shard)
    assert found is not None
    try:
        read_series(place / "e", jobs=1)
    except DicomSeriesError as error:
        # The index decodes no pixels.
        known = found.facts["error"] or re.search("compress|RLE|pixel data", str(error))
        if not known:
            raise AssertionError(f"the index calls readable: {error}") from error


FAMILY: Final = Family("frames", 420, 13, play)
