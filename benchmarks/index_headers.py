"""Index a warm data root on one core, hashes included: headers per second, and against pydicom.

The peer does what a short script would: for every file `pydicom.dcmread(stop_before_pixels=True)`
for the header and `hashlib.file_digest` for the SHA-256, without ordering, checking or
writing anything. `build_index` does all of that, in one process. Both start with the files in the
page cache, take turns, and the medians are compared. A second run over unchanged files is timed
as well, without a target.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom

from benchmarks.timing import figure, medians, print_figures
from core.dataset.index import build_index
from core.system.parallel import Workers
from tests.core.dicom.dicom_factory import write_ct_series

HEADERS_PER_SECOND: Final = 400.0


def write_root(root: Path, studies: int, slices: int) -> list[Path]:
    """Write studies of 512 x 512 noise, 0.5 MB per file, and return the files."""
    rng = np.random.default_rng(0)
    files: list[Path] = []
    for k in range(studies):
        hu = rng.integers(-1000, 3000, (slices, 512, 512), dtype=np.int16)
        files += write_ct_series(root / "train_images" / f"1.2.{k}", hu, study_uid=f"1.2.{k}")
    return files


def pydicom_loop(files: list[Path]) -> list[tuple[Any, str]]:
    """Return header and SHA-256 of each file."""
    found: list[tuple[Any, str]] = []
    for path in files:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        place = header.ImagePositionPatient, header.PixelSpacing, header.InstanceNumber
        with path.open("rb") as stream:
            found.append((place, hashlib.file_digest(stream, "sha256").hexdigest()))
    return found


def main() -> None:
    """Measure and print the figures, a JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    here = Workers(jobs=1)
    with tempfile.TemporaryDirectory() as name:
        root, cache = Path(name) / "root", Path(name) / "cache"
        files = write_root(root, arguments.studies, arguments.slices)
        index = build_index(root, cache, workers=here)
        digests = {digest for _, digest in pydicom_loop(files)}
        if set(index.slices["sha256"]) != digests or any(index.studies["error"].notna().tolist()):
            raise SystemExit("The index does not hold what was written.")
        ours, again, peer = medians(
            lambda: build_index(root, cache, workers=here, fresh=True),
            lambda: build_index(root, cache, workers=here),
            lambda: pydicom_loop(files),
            repeats=arguments.repeats,
        )
    rate = len(files) / ours
    print(
        f"{len(files)} files of 0.5 MB: index {ours:.3f} s ({rate:,.0f} headers/s), unchanged "
        f"{again:.3f} s ({len(files) / again:,.0f} files/s), pydicom and hashlib {peer:.3f} s"
    )
    name = "index a warm data root, hashes included, one core"
    print_figures(
        figure(name, f"{HEADERS_PER_SECOND:g} headers/s", rate / HEADERS_PER_SECOND, 1.0),
        figure(name, "pydicom header + hashlib loop", peer / ours),
    )


if __name__ == "__main__":
    main()
