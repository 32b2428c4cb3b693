"""Prepared slices and viewer volumes on disk: `.npy` memory maps against blosc2 with zstd-1.

Both hold the same arrays: uint8 slices in the bone window, as a network sees them, and int16 HU at
full resolution. blosc2 has one chunk per slice. The studies are synthetic ones and, where it is at
hand, the real series of CSPINE_REAL_CT. A random slice is read with the file in the page cache
(warm) or dropped from it (cold, one slice in eight), into an array that is there already, as a
batch is gathered. The disk decides the cold times: they are those of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import blosc2
import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import seconds
from core.config import SlicePreparation
from core.dicom.series import read_series
from core.phantom.study import make_study
from core.preprocessing.network_input import slices_for_network

SEED: Final = 905
REAL_CT: Final = Path(__file__).resolve().parents[2] / "shared/data/real_ct/alderson_cspine"


@dataclass(frozen=True, slots=True)
class Format:
    """One way to keep an array.

    Attributes:
        name: For the table.
        suffix: Of its files.
        write: Writes an array to a path.
        open: Opens a path for reading by index.
    """

    name: str
    suffix: str
    write: Callable[[Path, NDArray[Any]], object]
    open: Callable[[Path], Any]


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Write as the store writes."""
    with path.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def write_blosc(path: Path, array: Any) -> None:  # noqa: ANN401 - blosc2's types know no ndarray
    """Write zstd at level 1, one chunk per slice, shuffled by bytes."""
    blosc2.asarray(
        array,
        chunks=(1, *array.shape[1:]),
        urlpath=str(path),
        mode="w",
        cparams={"codec": blosc2.Codec.ZSTD, "clevel": 1, "nthreads": 1},
    )


def open_blosc(path: Path) -> Any:  # noqa: ANN401 - any array by index
    """Open for reading in this thread alone."""
    options: dict[str, Any] = {"mmap_mode": "r", "dparams": {"nthreads": 1}}
    return blosc2.open(str(path), mode="r", **options)


FORMATS: Final = (
    Format("npy memmap", ".npy", write_npy, lambda path: np.load(path, mmap_mode="r")),
    Format("blosc2 zstd-1", ".b2nd", write_blosc, open_blosc),
)


def volumes(studies: int) -> list[NDArray[np.int16]]:
    """HU of the real series, where it is, and of synthetic studies; int16 (n, h, w)."""
    found: list[NDArray[np.int16]] = []
    real = Path(os.environ.get("CSPINE_REAL_CT", REAL_CT))
    if real.is_dir():
        found.append(read_series(real).hu)
    return found + [make_study(SEED, index, matrix=512).hu for index in range(studies)]


def drop_from_page_cache(path: Path) -> None:
    """Ask the system to forget a file's pages, once they are on the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def random_reads(opened: list[Any], count: int, seed: int) -> float:
    """Seconds per slice, over `count` random slices, none twice."""
    every = [(study, index) for study, array in enumerate(opened) for index in range(len(array))]
    drawn = np.random.default_rng((SEED, seed)).permutation(len(every))[:count]
    target = np.empty(opened[0].shape[1:], opened[0].dtype)

    def read() -> None:
        for position in drawn:
            study, index = every[position]
            target[...] = opened[study][index]

    return seconds(read) / len(drawn)


def sequential_read(opened: list[Any]) -> float:
    """Seconds per slice, over all slices in order."""
    target = np.empty(opened[0].shape[1:], opened[0].dtype)

    def read() -> None:
        for array in opened:
            for index in range(len(array)):
                target[...] = array[index]

    return seconds(read) / sum(len(array) for array in opened)


def measure(
    form: Format, arrays: list[NDArray[Any]], folder: Path, *, reads: int, repeats: int
) -> dict[str, float]:
    """Megabytes on disk, and microseconds per slice to write and to read in three ways."""
    paths = [folder / f"{number}{form.suffix}" for number in range(len(arrays))]
    slices = sum(len(array) for array in arrays)
    written = sum(
        seconds(lambda a=array, p=path: form.write(p, a))
        for path, array in zip(paths, arrays, strict=True)
    )
    for path, array in zip(paths, arrays, strict=True):
        if not np.array_equal(form.open(path)[:], array):
            raise SystemExit(f"{form.name} does not give back what was written.")
    cold: list[float] = []
    for repeat in range(repeats):
        for path in paths:
            drop_from_page_cache(path)
        cold.append(random_reads([form.open(path) for path in paths], slices // 8, repeat))
    opened = [form.open(path) for path in paths]
    sequential_read(opened)
    return {
        "MB": sum(path.stat().st_size for path in paths) / 1e6,
        "write": written / slices * 1e6,
        "random cold": statistics.median(cold) * 1e6,
        "random warm": statistics.median(
            random_reads(opened, reads, repeat) for repeat in range(repeats)
        )
        * 1e6,
        "sequential": statistics.median(sequential_read(opened) for _ in range(repeats)) * 1e6,
    }


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=3, help="synthetic studies")
    parser.add_argument("--reads", type=int, default=200, help="random warm reads per round")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    hu = volumes(options.studies)
    contents: dict[str, list[NDArray[Any]]] = {
        f"uint8 {size} x {size}": [
            slices_for_network(volume, SlicePreparation(size=size)) for volume in hu
        ]
        for size in (256, 512)
    } | {"int16 512 x 512": list(hu)}
    figures: list[dict[str, Any]] = []
    print(f"{len(hu)} studies, {sum(map(len, hu))} slices; microseconds per slice")
    for content, arrays in contents.items():
        rows: list[dict[str, float]] = []
        for form in FORMATS:
            with tempfile.TemporaryDirectory() as folder:
                row = measure(
                    form, arrays, Path(folder), reads=options.reads, repeats=options.repeats
                )
            rows.append(row)
            cells = "  ".join(f"{name} {value:7.1f}" for name, value in row.items())
            print(f"{content:16} {form.name:14} {cells}")
        npy, blosc = rows
        figures.append(
            {
                "name": f"random slice, npy memmap, {content}, warm",
                "peer": "blosc2 zstd-1, one chunk per slice",
                "ratio": round(blosc["random warm"] / npy["random warm"], 2),
                "ratio_cold": round(blosc["random cold"] / npy["random cold"], 2),
                "size_ratio": round(npy["MB"] / blosc["MB"], 2),
                "target": 2.0,
            }
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
