"""Loading four models and their truth at full size: 2,019 studies, 711,601 slices; time and memory.

Files are read and checked, scores pooled to vertebrae and patients, and models aligned with the
truth. The peer reads the same files with pandas and pools them by `groupby`.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.inputs.full_size_scores import TRUTH, TRUTH_SLICES, write_full_size
from benchmarks.timing import figure, print_figures
from core.constants import VERTEBRAE
from core.evaluation.tables.evaluation_set import EvaluationSet, align
from core.evaluation.tables.score_files import read_score_table, read_truth_table

LIMIT_S: Final = 3.0
LIMIT_BYTES: Final = 2**30


def ours(folder: Path, files: list[Path]) -> EvaluationSet:
    """Read, check, pool and align."""
    return align([read_score_table(file) for file in files], read_truth_table(folder / TRUTH))


def plain(folder: Path, files: list[Path]) -> list[NDArray[np.float64]]:
    """The peer: vertebra scores by `groupby`, no check of any row."""
    pd.read_parquet(folder / TRUTH_SLICES)
    pooled: list[NDArray[np.float64]] = []
    for file in files:
        table = pd.read_parquet(file)
        table["study_id"] = table["study_id"].astype(str)
        weights = table[[f"v_{name}" for name in VERTEBRAE]].to_numpy(np.float64)
        products = weights * table[[f"f_{name}" for name in VERTEBRAE]].to_numpy()
        study = table["study_id"].to_numpy()
        grouped: list[Any] = [
            pd.DataFrame(each, columns=list(VERTEBRAE)).groupby(study).sum()
            for each in (products, weights)
        ]
        sums, totals = (np.asarray(each, np.float64) for each in grouped)
        pooled.append(sums / totals)
    return pooled


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_full_size(folder)
        start = time.perf_counter()
        evaluated = ours(folder, files)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        theirs = plain(folder, files)
        peer = time.perf_counter() - start
    for model, wanted in zip(evaluated.models, theirs, strict=True):
        if not np.allclose(model.vertebra_scores, wanted, atol=1e-12):
            raise SystemExit("The vertebra scores differ from those by groupby.")
    held = sum(model.nbytes for model in evaluated.models) + evaluated.truth.presence.nbytes
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(files)} models of {evaluated.models[0].n_slices:,} slices: {seconds:.2f} s, "
        f"{held / 2**20:.0f} MiB held (this whole process, peer included, at most "
        f"{highest:.0f} MiB); pandas {peer:.2f} s"
    )
    name = f"load {len(files)} models of {evaluated.models[0].n_slices:,} slices"
    print_figures(
        figure(name, f"{LIMIT_S:g} s", LIMIT_S / seconds, 1.0),
        figure(name, "pandas groupby", peer / seconds),
        figure(f"{name}: memory", "1 GiB", LIMIT_BYTES / held, 1.0),
    )


if __name__ == "__main__":
    main()
