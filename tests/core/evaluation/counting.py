"""Counts at one threshold, taken one by one: what the curves are held against."""

from __future__ import annotations

import numpy as np

from core.evaluation.confusion import ConfusionCounts


def counted(scores, truth, threshold):
    called, truth = np.asarray(scores) >= threshold, np.asarray(truth, bool)
    return ConfusionCounts(
        true_positives=int((called & truth).sum()),
        false_positives=int((called & ~truth).sum()),
        true_negatives=int((~called & ~truth).sum()),
        false_negatives=int((~called & truth).sum()),
    )
