"""Two sources of presence are compared on the same studies."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.experiments.presence_sources import ComparedStudy, source_figures


def _studies(count, rng, worse):
    """The labels are right but for noise; the network's noise is `worse` times as large."""
    found = []
    for _ in range(count):
        present = rng.random((12, 7)) < 0.4
        present[0] = True
        fractured = rng.random(7) < 0.3
        noise = rng.normal(0, 0.5, (2, 12, 7)) * np.array([worse, 1.0])[:, None, None]
        scores = fractured + rng.normal(0, 0.5, (2, 7)) * np.array([worse, 1.0])[:, None]
        found.append(
            ComparedStudy(present, (present + noise).astype(np.float32), scores, fractured)
        )
    return found


def test_figures_are_pooled_over_studies_and_paired():
    studies = _studies(20, np.random.default_rng(3), worse=3.0)
    figures = source_figures(studies)
    for k in range(2):
        truth = np.concatenate([one.present.ravel() for one in studies])
        seen = np.concatenate([one.seen[k].ravel() for one in studies])
        assert figures["presence_auc"][k] == pytest.approx(roc_auc_score(truth, seen))
        truth = np.concatenate([one.fractured for one in studies])
        scores = np.concatenate([one.scores[k] for one in studies])
        assert figures["vertebra_auc"][k] == pytest.approx(roc_auc_score(truth, scores))
    for name in ("presence", "vertebra"):
        low, high = figures[f"{name}_gain"]
        by_network, by_labels = figures[f"{name}_auc"]
        assert 0 < low < by_labels - by_network < high


def test_a_vertebra_out_of_view_does_not_count():
    studies = _studies(6, np.random.default_rng(4), worse=1.0)
    studies[0].present[:, 2] = False
    before = source_figures(studies)["vertebra_auc"]
    studies[0].scores[:, 2] = 99.0
    assert source_figures(studies)["vertebra_auc"] == before


def test_equal_sources_gain_nothing():
    studies = [
        ComparedStudy(one.present, one.seen[[1, 1]], one.scores[[1, 1]], one.fractured)
        for one in _studies(8, np.random.default_rng(5), worse=1.0)
    ]
    assert source_figures(studies)["vertebra_gain"] == [0.0, 0.0]
