"""Counts of scores by epoch against counting one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from core.training.epoch_scores import BINS, SCORES_KEY, EpochCalls, epoch_scores, score_counts


def test_calls_at_every_edge_are_those_of_the_scores():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.random(500), np.arange(BINS + 1) / BINS]).astype(np.float32)
    truth = rng.random(len(scores)) < 0.3
    (found,) = epoch_scores(pd.DataFrame({"epoch": [3], SCORES_KEY: [score_counts(scores, truth)]}))
    assert found.epoch == 3
    for threshold in found.edges:
        called = scores >= np.float32(threshold)
        if threshold == 1:  # The last bin includes its upper edge.
            assert found.calls_at(1.0)[:2] == (0, 0)
            continue
        (tn, fp), (fn, tp) = confusion_matrix(truth, called, labels=[False, True])
        assert found.calls_at(threshold) == EpochCalls(tp, fp, fn, tn)


def test_a_bin_has_its_lower_edge_and_the_last_one_both():
    scores = np.array([[0.0, 0.02], [1.0, np.nan]])
    counts = score_counts(scores, np.array([[False, True], [True, True]]))
    assert counts["negatives"] == [1] + [0] * (BINS - 1)
    assert counts["positives"] == [0, 1] + [0] * (BINS - 3) + [1]


def test_lines_without_counts_or_with_damaged_ones_are_left_out():
    good = {"negatives": [1, 2], "positives": [0, 3]}
    bad = [
        float("nan"),
        None,
        {"negatives": [1]},
        good | {"positives": [1]},
        {**good, "negatives": "x"},
    ]
    lines = pd.DataFrame({"epoch": range(1, len(bad) + 2), SCORES_KEY: [*bad, good]})
    (found,) = epoch_scores(lines)
    assert (found.epoch, found.positives.tolist()) == (len(bad) + 1, [0, 3])
    assert epoch_scores(pd.DataFrame()) == []
    assert epoch_scores(lines.drop(columns=SCORES_KEY)) == []
