"""Folders named anyhow: the studies in them are found by the UIDs of their files.

The oracle is the study and the number of slices that each folder was made with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from core.dataset.rsna import read_studies
from core.dataset.study_search import studies_at
from tests.core.dicom.dicom_factory import write_ct_series
from tests.robustness.verdicts import SEED, Family, Verdict, judged

NAMES: Final = ("a", "1.2.9", "Série 1", "DICOM", "scan of Monday", "0", "IM-0001", "x y", "zz")
JUNK: Final = {"VIEWER/run.exe": b"MZ" * 90, "readme.txt": b"hello", "AUTORUN.INF": b"[autorun]"}


def _folder(rng: np.random.Generator, root: Path, taken: set[Path], depth: int) -> Path:
    while True:
        parts = [str(rng.choice(NAMES)) for _ in range(int(rng.integers(1, depth + 1)))]
        folder = root.joinpath(*parts)
        near = {folder, *folder.parents} & taken or any(folder in t.parents for t in taken)
        if not near:
            taken.add(folder)
            return folder


def play(number: int, place: Path) -> Verdict:
    rng = np.random.default_rng([SEED, 12, number])
    return judged(f"case {number}", lambda: _judge(rng, place))


def _judge(rng: np.random.Generator, place: Path) -> Verdict:
    as_root = rng.random() < 0.5
    root = place / "train_images" if as_root else place / "studies"
    taken: set[Path] = set()
    best: dict[str, int] = {}
    for k in range(int(rng.integers(1, 4))):
        study = f"1.2.{k}"
        lengths = rng.permutation(np.arange(1, 6))[: int(rng.integers(1, 4))].tolist()
        for number, n in enumerate(lengths):
            folder = _folder(rng, root, taken, 1 if as_root else 3)
            write_ct_series(
                folder, np.zeros((n, 4, 4), np.int16), study_uid=study,
                series_uid=f"{study}.{number}",
            )  # fmt: skip
        best[study] = max(lengths)
    for name, content in JUNK.items():
        if not as_root and rng.random() < 0.3:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    records = read_studies(place) if as_root else studies_at(root).records
    found = {record.study_id: _most(record.folder) for record in records}
    return Verdict("read" if found == best else "silent", f"{found} for {best}")


def _most(folder: Path) -> int:
    """Slices in the fullest folder at or below one."""
    counts: dict[Path, int] = {}
    for file in folder.rglob("*.dcm"):
        counts[file.parent] = counts.get(file.parent, 0) + 1
    return max(counts.values(), default=0)


FAMILY: Final = Family("trees of studies", 120, 6, play)
