"""1,000 patient-level bootstrap replicates of AUC and F1 at full size, against scikit-learn.

2,019 made-up studies with 711,601 slices. The peer resamples patients, gathers their slices and
calls `roc_auc_score` and `f1_score`; a few of its replicates are timed and multiplied. Both give
the same two numbers for those replicates, or the benchmark stops. The levels with fewer items are
measured as well, without a target.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from benchmarks.inputs.full_size_scores import TRUTH, write_full_size
from core.evaluation.intervals import metric_samples
from core.evaluation.resampling import resample_patients, resampled
from core.evaluation.tables.evaluation_set import EvaluationSet, LevelItems, align
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.types import LevelName

REPLICATES: Final = 1_000
THRESHOLD: Final = 0.3
TARGET: Final = 100.0
PEER_REPLICATES: Final[dict[LevelName, int]] = {"slice": 5, "vertebra": 40, "patient": 100}


def loop(items: LevelItems, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """AUC and F1 of some replicates, (replicates, 2), one after the other."""
    starts = np.searchsorted(items.patients, np.arange(draws.shape[1] + 1))
    found = np.empty((len(draws), 2))
    for k, times in enumerate(draws):
        drawn = np.repeat(np.arange(len(times)), times)
        chosen = np.concatenate([np.arange(starts[p], starts[p + 1]) for p in drawn])
        truth, scores = items.truth[chosen], items.scores[chosen]
        found[k] = (
            metrics.roc_auc_score(truth, scores),
            metrics.f1_score(truth, scores >= THRESHOLD),
        )
    return found


def measure(evaluated: EvaluationSet, name: str, level: LevelName) -> dict[str, Any]:
    """The figure of one level."""
    items = evaluated.items(name, level)
    few = PEER_REPLICATES[level]
    start = time.perf_counter()
    sample = resampled(items.scores, items.truth, items.patients, replicates=REPLICATES, seed=0)
    ours = metric_samples(sample, THRESHOLD, ("auc", "f1"))
    seconds = time.perf_counter() - start
    draws = resample_patients(sample.n_patients, REPLICATES, 0)[:few]
    start = time.perf_counter()
    theirs = loop(items, draws)
    peer = (time.perf_counter() - start) * REPLICATES / few
    if not np.allclose(np.column_stack([ours["auc"], ours["f1"]])[:few], theirs, atol=1e-12):
        raise SystemExit(f"The replicates of level {level} differ from scikit-learn's.")
    print(
        f"{level}: {len(items.scores):,} items, {REPLICATES:,} replicates {seconds:.2f} s, "
        f"scikit-learn {peer:.1f} s ({few} replicates timed)"
    )
    return {
        "name": f"{REPLICATES:,} patient bootstrap replicates of AUC and F1, {level} level",
        "peer": "scikit-learn loop",
        "ratio": round(peer / seconds, 1),
        "target": TARGET if level == "slice" else None,
        "seconds": round(seconds, 3),
    }


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = write_full_size(Path(folder), models=3)
        # The draws of a first call are kept for those after it, so every level pays for its own.
        model = read_score_table(files[-1])
        evaluated = align([model], read_truth_table(Path(folder) / TRUTH))
    levels: tuple[LevelName, ...] = ("slice", "vertebra", "patient")
    print(json.dumps([measure(evaluated, model.name, level) for level in levels]))


if __name__ == "__main__":
    main()
