"""Every threshold of 711,601 scores, and one of them: against scikit-learn.

The peer of the curves is the four calls that give the same: `roc_curve`, `precision_recall_curve`
(F1 is made of it), `roc_auc_score` and `average_precision_score`. The peer of a threshold's counts
is `confusion_matrix`. Both sides give the same numbers, or the benchmark stops.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
from sklearn import metrics

from benchmarks.inputs.full_size_scores import SLICES
from benchmarks.timing import figure, medians, print_figures
from core.evaluation.curves import threshold_counts

CURVES_TARGET, COUNTS_TARGET = 8.0, 1_000.0
MOVES = 2_000
"""Moves of the slider over which the time of one is taken."""

Scores = np.ndarray


def made_scores(n: int) -> tuple[Scores, Scores]:
    """Slice scores in float64 as Types 2 and 3 give them, 7.7 % of them positive."""
    rng = np.random.default_rng(0)
    truth = rng.random(n) < 0.077
    logits = 1.5 * (1.4 * truth + rng.normal(0, 1.3, n)) - 3.0
    return 1.0 / (1.0 + np.exp(-logits)), truth


def ours(scores: Scores, truth: Scores) -> tuple[float, ...]:
    """ROC, PR and F1 at every threshold, AUC and AP."""
    counts = threshold_counts(scores, truth)
    curves = (counts.false_positive_rate(), counts.recall(), counts.precision())
    f1 = counts.f1()
    area, average = counts.auc(), counts.average_precision()
    return float(area or 0), float(average or 0), float(f1.max()), float(sum(map(len, curves)))


def peer(scores: Scores, truth: Scores) -> tuple[float, ...]:
    """The same by scikit-learn's four calls."""
    alarms, _, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    precision, recall, _ = metrics.precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    area = metrics.roc_auc_score(truth, scores)
    average = metrics.average_precision_score(truth, scores)
    return float(area), float(average), float(f1.max()), float(3 * (len(alarms) - 1))


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    scores, truth = made_scores(SLICES)
    if not np.allclose(ours(scores, truth), peer(scores, truth), rtol=0, atol=1e-12):
        raise SystemExit("The curves differ from scikit-learn's.")
    # One thread on both sides: in processor time, what else the machine does does not count.
    measure = partial(medians, repeats=repeats, clock=time.process_time)
    one, other = measure(lambda: ours(scores, truth), lambda: peer(scores, truth))
    print(f"all thresholds of {len(scores):,} scores: {one:.3f} s, scikit-learn {other:.3f} s")

    curve = threshold_counts(scores, truth)
    asked = np.random.default_rng(1).random(MOVES).tolist()
    for threshold in asked[:3]:
        counts = curve.at(threshold)
        by_class = metrics.confusion_matrix(truth, scores >= threshold).ravel().tolist()
        if by_class != [
            counts.true_negatives, counts.false_positives,
            counts.false_negatives, counts.true_positives,
        ]:  # fmt: skip
            raise SystemExit("The counts differ from scikit-learn's.")
    moves, matrix = measure(
        lambda: [curve.at(threshold) for threshold in asked],
        lambda: metrics.confusion_matrix(truth, scores >= 0.5),
    )
    move = moves / MOVES
    print(f"one threshold's counts: {move * 1e6:.1f} µs, scikit-learn {matrix * 1e3:.1f} ms")
    print_figures(
        figure(
            f"ROC, PR and F1 at every threshold, AUC, AP of {len(scores):,} scores",
            "scikit-learn's four calls", other / one, CURVES_TARGET,
        ),
        figure(
            "one threshold's confusion counts",
            "scikit-learn confusion_matrix", matrix / move, COUNTS_TARGET,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
