"""What one volume is: slices of two scans in a folder, series in trees, maps, damaged neighbours.

The oracle of a mixture is the larger scan as it was before the other came to it; where they cannot
be told apart, or a slice is missed, only a refusal is right.
"""

from __future__ import annotations

import functools
import io
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset

from core.dataset.index_files import listing_of, place_files, read_file
from core.dicom.series import read_series
from core.dicom.zip_archive import extract_dicom_archive
from core.errors import DicomSeriesError
from tests.core.dicom.edited_slices import hu_of, neighbours, save, twin
from tests.robustness.verdicts import SEED, Family, Verdict, judged

_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")

OTHERS: Final[dict[str, dict[str, Any]]] = {
    "acquisition": {"AcquisitionNumber": 2},
    "time": {"TemporalPositionIdentifier": 2},
    "phase": {"TriggerTime": 431.5},
    "echo": {"EchoNumbers": 2},
    "b-value": {"DiffusionBValue": 1000.0},
    "contrast": {"ContrastBolusAgent": "agent"},
    "kernel": {"ConvolutionKernel": "B70s"},
    "energy": {"KVP": 80},
    "gantry": {"GantryDetectorTilt": 10},
    "thickness": {"SliceThickness": 5},
    "kind": {"ImageType": ["DERIVED", "SECONDARY", "MPR"]},
    "frame of reference": {"FrameOfReferenceUID": "1.2.3.10"},
    "pixel grid": {"PixelSpacing": [0.9, 0.9]},
    "direction": {"ImageOrientationPatient": [-1, 0, 0, 0, -1, 0]},
    "series": {"SeriesInstanceUID": "1.2.3.5"},
    "series number": {"SeriesNumber": 9},
    "study": {"StudyInstanceUID": "1.2.9"},
    "patient": {"PatientID": "OTHER"},
    "name": {"PatientName": "Other"},
    "Z": {"RescaleType": "Z_EFF"},
    "mg/ml": {"RescaleType": "MGML"},
    "unspecified": {"RescaleType": "US"},
    "material": {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC"]},
}
"""Elements in which a second scan differs from the first."""

STATED: Final = {
    "TemporalPositionIdentifier": 1, "TriggerTime": 0, "EchoNumbers": 1, "DiffusionBValue": 0.0,
    "ContrastBolusAgent": "none",
}  # fmt: skip


@functools.cache
def _source() -> tuple[Dataset, ...]:
    with tempfile.TemporaryDirectory() as folder:
        slices = neighbours(Path(folder), 9)
        for ds in slices:
            ds.pixel_array  # noqa: B018 - decoded while the file is there
            for keyword, value in STATED.items():
                setattr(ds, keyword, value)
    return tuple(slices)


def _slices(count: int = 9) -> list[Dataset]:
    return twin(_source()[:count], lambda _: None, shift_mm=0, add=0, new_objects=False)


def _judge(folder: Path, expected: Sequence[Dataset], noted: bool) -> Verdict:
    """Read a folder; the index must think of it as the reader does."""
    facts = [found for name, _, _ in listing_of(folder) for found in read_file(folder / name)]
    refused = place_files(folder, facts)[2]
    try:
        volume = read_series(folder, jobs=1)
    except DicomSeriesError:
        if not refused:
            return Verdict("silent", "the index calls a refused folder readable")
        raise
    if refused:
        return Verdict("silent", f"the index refuses what is read: {refused}")
    if not np.array_equal(volume.hu, hu_of(expected)):
        return Verdict("silent", f"{volume.n_slices} slices, notes {volume.notes}")
    if noted and not volume.notes:
        return Verdict("silent", "no note")
    return Verdict("noted" if volume.notes else "read")


def play_mixture(number: int, place: Path) -> Verdict:
    """Two scans in one folder, in files of mixed order, with or without UIDs."""
    rng = np.random.default_rng([SEED, 21, number])
    name = list(OTHERS)[number % len(OTHERS)]
    slices = _slices(int(rng.integers(6, 10)))
    shift = float(rng.choice([0.0, 0.4, 1.0, 1.7, 40.0]))
    smaller = slices[: int(rng.integers(1, len(slices)))]
    edit = OTHERS[name]
    second = twin(smaller, lambda ds: [setattr(ds, k, v) for k, v in edit.items()], shift_mm=shift)
    if number // len(OTHERS) % 2 and not set(edit) & set(_UIDS):
        for ds in (*slices, *second):
            for keyword in _UIDS:
                delattr(ds, keyword)
    both = [*slices, *second]
    save([both[k] for k in rng.permutation(len(both))], place / "s")
    in_blocks = shift > 2 * len(slices) and name in (
        "acquisition", "time", "phase", "echo", "b-value", "contrast", "thickness", "kind",
    )  # fmt: skip
    expected = [*slices, *second] if in_blocks else slices
    return judged(f"{name} {shift}", lambda: _judge(place / "s", expected, not in_blocks))


def play_tree(number: int, place: Path) -> Verdict:
    """A series over random folders of a tree or an archive, among files of all kinds."""
    rng = np.random.default_rng([SEED, 22, number])
    slices = _slices(int(rng.integers(4, 10)))
    folders = [f"{'d/' * int(rng.integers(0, 4))}{k}" for k in range(int(rng.integers(1, 6)))]
    tree = place / "tree"
    for k, ds in enumerate(slices):
        save([ds], tree / str(rng.choice(folders)), start=k, name="IM{}")
    if number % 3:
        other = twin(slices[:3], lambda ds: setattr(ds, "SeriesInstanceUID", "1.2.3.5"))
        for k, ds in enumerate(other):
            save([ds], tree / str(rng.choice(folders)), start=k, name="OTHER{}")
    for k in range(int(rng.integers(0, 30))):
        (tree / "VIEWER").mkdir(exist_ok=True)
        (tree / "VIEWER" / f"{k}.exe").write_bytes(rng.bytes(int(rng.integers(1, 400))))
    folder = tree
    if number % 2:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for path in tree.rglob("*"):
                archive.write(path, path.relative_to(tree))
        folder = extract_dicom_archive(stream, place / "target", max_bytes=1 << 24)
    return judged(f"{len(folders)} folders", lambda: _judge(folder, slices, bool(number % 3)))


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(133, 1200))]


def _scrambled(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(132, 900))
    return content[:at] + rng.bytes(int(rng.integers(4, 200))) + content[at + 40 :]


def play_neighbour(number: int, place: Path) -> Verdict:
    """A damaged file beside a whole series is left out; in place of a slice it refuses it."""
    rng = np.random.default_rng([SEED, 23, number])
    slices = _slices()
    folder = save(slices, place / "s")
    harm: Callable[[bytes, np.random.Generator], bytes] = (_cut, _scrambled)[number % 2]
    (extra,) = twin(slices[:1], lambda ds: setattr(ds, "SeriesInstanceUID", "1.2.3.5"))
    save([extra], folder, name="x{}.dcm")
    if number % 4 < 2:
        path = folder / "x1.dcm"
        path.write_bytes(harm(path.read_bytes(), rng))
        return judged("beside", lambda: _judge(folder, slices, True))
    middle = int(rng.integers(1, 8))
    path = folder / f"{middle + 1}.dcm"
    path.write_bytes(harm(path.read_bytes(), rng))
    rest = [*slices[:middle], *slices[middle + 1 :]]
    return judged("instead", lambda: _judge_gap(folder, slices, rest))


def _judge_gap(folder: Path, slices: Sequence[Dataset], rest: Sequence[Dataset]) -> Verdict:
    """Damage that leaves the slice whole is read; a slice that is no DICOM any more is noted."""
    verdict = _judge(folder, slices, False)
    if verdict.kind != "silent":
        return verdict
    without = _judge(folder, rest, True)
    volume = read_series(folder, jobs=1)
    if without.kind == "noted" and any("uneven" in note for note in volume.notes):
        return without
    if volume.n_slices == len(slices):
        # Bytes of this one slice's pixels or of its rescaling are other bytes: valid as they are.
        same = [np.array_equal(a, b) for a, b in zip(volume.hu, hu_of(slices), strict=True)]
        if same.count(False) == 1:
            return Verdict("hash", "one slice has other bytes")
    return verdict


MIXTURES: Final = Family("mixed scans", 230, 7, play_mixture, _source)
TREES: Final = Family("folder trees", 60, 6, play_tree, _source)
NEIGHBOURS: Final = Family("damaged neighbours", 200, 9, play_neighbour, _source)
