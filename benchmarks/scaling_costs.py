"""Cost per slice of index, cache and predict, and the hours for the RSNA set on a cluster.

Run with `make bench ARGS=scaling_costs`. Measures on a small synthetic cohort of 512 x 512 slices,
as nearly all of the real set's are (another data root with --data-root): first one process on one
core, then one process per core, both with the files in the page cache and the networks loaded.
The projection follows from the second, the higher cost per core: whole studies, spread over
machines, no study split. NOT measured is the network file system that the machines share; its
floor is computed from the bytes that each step moves and the speed that --gbyte-s assumes. Not
counted are starting the processes and the joining at the end, which one process does.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import joblib
import torch

from core.config import Settings, SlicePreparation
from core.dataset.index import build_index
from core.dataset.rsna import read_studies
from core.inference.batch import predict_folder
from core.models.pairs import BundlePair, default_bundle
from core.phantom.cohort import write_cohort
from core.prepared.filling import fill_entries
from core.prepared.slices import slices_entry
from core.system.parallel import Workers, run_over

STUDIES, SLICES, LONGEST_STUDY = 2_019, 711_601, 1_082
"""Of the real set."""
SET_GIB: Final = 350.0
READS: Final = {"index": 1, "cache": 2, "predict": 1}
"""How often a step reads each file: `cache` hashes it first, and may find it gone from memory."""
MACHINES: Final = (1, 4, 32)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds per slice on one core: alone, and with every core of this machine at work."""

    alone: float
    busy: float


def index(root: Path, work: Path, workers: Workers) -> None:
    """Read and hash every file."""
    build_index(root, work / "cache", workers=workers, fresh=True)


def cache(root: Path, work: Path, workers: Workers, size: int) -> None:
    """Hash, decode, window and write every slice."""
    fill_entries(
        functools.partial(slices_entry, preparation=SlicePreparation(size=size)),
        read_studies(root),
        store=replace(Settings().store, folder=work / "cache"), workers=workers, progress=None,
    )  # fmt: skip


def predict(root: Path, work: Path, workers: Workers, pair: BundlePair) -> None:
    """Decode every slice and run both networks over it, with one core per process."""
    predict_folder(root, work / "out", pair, device="cpu", workers=workers)


def use_one_core(_: int) -> None:
    """Keep torch to one thread in this process."""
    torch.set_num_threads(1)


def seconds(step: Callable[[Path, Path, Workers], None], root: Path, workers: Workers) -> float:
    """Time a step's second run: processes are up, networks loaded, and nothing is kept."""
    took = math.nan
    for _ in range(2):
        work = Path(tempfile.mkdtemp(prefix="scaling_costs."))
        try:
            start = time.perf_counter()
            step(root, work, workers)
            took = time.perf_counter() - start
        finally:
            shutil.rmtree(work)
    return took


def measure(root: Path, n_slices: int, cores: int, pair: BundlePair, size: int) -> dict[str, Cost]:
    """Measure the three steps on `root`."""
    steps: dict[str, Callable[[Path, Path, Workers], None]] = {
        "index": index,
        "cache": functools.partial(cache, size=size),
        "predict": functools.partial(predict, pair=pair),
    }
    use_one_core(0)
    costs: dict[str, Cost] = {}
    for name, step in steps.items():
        alone = seconds(step, root, Workers(jobs=1)) / n_slices
        busy = alone
        if cores > 1:
            list(run_over(use_one_core, range(4 * cores), workers=Workers(jobs=cores)))
            busy = seconds(step, root, Workers(jobs=cores)) * cores / n_slices
        costs[name] = Cost(alone, busy)
    return costs


def hours(cost: float, workers: int) -> float:
    """Time for the real set: the fullest worker's studies, or the longest study if that is more."""
    fullest = math.ceil(STUDIES / workers) * SLICES / STUDIES
    return cost * max(fullest, LONGEST_STUDY) / 3600


def moved_gbyte(step: str, size: int) -> float:
    """10^9 bytes that a step reads and writes on the shared disk; `cache` writes the store."""
    written = SLICES * size**2 / 1e9 if step == "cache" else 0.0
    return READS[step] * SET_GIB * 1.024**3 + written


def projection(costs: dict[str, Cost], cores: int, size: int, gbyte_s: float) -> str:
    """Return the table: one row per step, one column per number of machines."""
    heads = [f"{machines} x {cores} cores" for machines in MACHINES]
    rows = [("step", "ms per slice", *heads, "disk floor")]
    for name, cost in costs.items():
        floor = moved_gbyte(name, size) / gbyte_s / 3600
        times = [in_words(hours(cost.busy, machines * cores)) for machines in MACHINES]
        rows.append((name, f"{1000 * cost.busy:.2f}", *times, in_words(floor)))
    return "\n".join("".join(cell.ljust(16) for cell in row).rstrip() for row in rows)


def in_words(time_h: float) -> str:
    """Hours, or minutes below one hour."""
    return f"{time_h:.1f} h" if time_h >= 1 else f"{60 * time_h:.1f} min"


def main() -> None:
    """Measure and print the table, a JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, help="measure on this instead of a new cohort")
    parser.add_argument("--studies", type=int, default=2 * joblib.cpu_count())
    parser.add_argument("--matrix", type=int, default=512)
    parser.add_argument("--size", type=int, default=512, help="side in pixels in the store")
    parser.add_argument("--machine-cores", type=int, default=16, help="of a projected machine")
    parser.add_argument("--gbyte-s", type=float, default=1.0, help="of the shared disk, assumed")
    arguments = parser.parse_args()
    shipped = Settings().checkpoints
    pair = BundlePair(default_bundle(shipped, "vertebra"), default_bundle(shipped, "fracture"))
    cores = joblib.cpu_count()
    with tempfile.TemporaryDirectory(prefix="scaling_costs.") as name:
        root = arguments.data_root or Path(name)
        if arguments.data_root is None:
            write_cohort(root, studies=arguments.studies, seed=7, matrix=arguments.matrix)
        n_slices = sum(1 for r in read_studies(root) for f in r.folder.iterdir() if f.is_file())
        costs = measure(root, n_slices, cores, pair, arguments.size)
    what = arguments.data_root or f"synthetic slices of {arguments.matrix} x {arguments.matrix}"
    print(f"Measured on {n_slices} files ({what}), {cores} cores, networks on the CPU.")
    for step, cost in costs.items():
        print(f"{step}: {1000 * cost.alone:.2f} ms per slice alone, {1000 * cost.busy:.2f} ms busy")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"Peak memory of the process that did all three: {peak:.2f} GiB.\n")
    print(f"Projected for {SLICES:,} slices, taken as 512 x 512, in {STUDIES:,} studies:")
    print(projection(costs, arguments.machine_cores, arguments.size, arguments.gbyte_s))
    print(
        f"The floor is what a shared disk of {arguments.gbyte_s:g} GB/s needs to move the "
        f"bytes, whatever the machines; the larger of the two counts. No network disk was measured."
    )
    print(json.dumps(figures(costs, cores)))


def figures(costs: dict[str, Cost], cores: int) -> list[dict[str, object]]:
    """Give how many times faster all cores are than one, one figure per step."""
    return [
        {
            "name": f"{name} over studies, {cores} processes",
            "peer": "one process",
            "ratio": round(cores * cost.alone / cost.busy, 2),
            "target": None,
        }
        for name, cost in costs.items()
    ]


if __name__ == "__main__":
    main()
