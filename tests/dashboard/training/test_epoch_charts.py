"""Scores by epoch and the use of the machine, as they are drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.training.epoch_scores import EpochScores
from dashboard.training.epoch_charts import resource_figure, score_figure


def test_both_classes_are_drawn_as_shares_of_their_own():
    scores = EpochScores(2, np.array([6, 2, 0, 0]), np.array([0, 1, 0, 3]))
    negative, positive = score_figure(scores, 0.5).data
    assert list(negative.y) == [0.75, 0.25, 0, 0]
    assert list(positive.y) == [0, 0.25, 0, 0.75]
    assert list(positive.x) == [0.125, 0.375, 0.625, 0.875]
    assert list(positive.customdata) == [0, 1, 0, 3]


def test_a_class_without_a_score_is_drawn_empty():
    scores = EpochScores(1, np.array([0, 0]), np.array([1, 1]))
    assert list(score_figure(scores, 0.5).data[0].y) == [0, 0]


def test_only_what_was_sampled_is_drawn():
    assert resource_figure(pd.DataFrame()) is None
    lines = pd.DataFrame(
        {
            "time": ["2026-01-01T00:00:00.000+00:00", "2026-01-01T01:30:00.000+00:00"],
            "step": [1, 2],
            "cpu_share": [0.5, 1.0],
            "memory_share": [0.25, 0.25],
            "gpu_share": [None, None],
        }
    )
    figure = resource_figure(lines)
    assert [trace.name for trace in figure.data] == ["processor", "memory"]
    assert list(figure.data[0].x) == [0, 1.5]
    assert list(figure.data[0].y) == [0.5, 1.0]
