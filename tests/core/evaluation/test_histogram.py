from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PredictionsError
from core.evaluation.histogram import score_histogram


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 60))
def test_every_item_stands_in_one_bin_of_its_class(pairs, bins):
    scores, truth = (np.array(values) for values in zip(*pairs, strict=True))
    found = score_histogram(scores, truth, bins=bins)
    assert found.positives.sum() == truth.sum()
    assert found.negatives.sum() == (~truth).sum()
    assert len(found.edges) == bins + 1
    assert found.positive_share.sum() == pytest.approx(float(truth.any()))


def test_bins_are_closed_below_and_the_last_holds_one():
    found = score_histogram([0.0, 0.5, 0.75, 1.0, 0.24], [1, 1, 0, 1, 0], bins=4)
    assert found.positives.tolist() == [1, 0, 1, 1]
    assert found.negatives.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [7, 10, 50, 100])
def test_a_score_on_an_edge_belongs_to_the_bin_above_it(bins, dtype):
    on_edge = np.array([k / bins for k in range(bins + 1)], dtype)
    found = score_histogram(on_edge, np.ones(bins + 1, bool), bins=bins)
    assert found.positives.tolist() == [1] * (bins - 1) + [2]
    assert found.positives.sum() == len(on_edge)


def test_no_bin_and_no_score_are_refused():
    with pytest.raises(PredictionsError, match="bins"):
        score_histogram([0.5], [1], bins=0)
    with pytest.raises(PredictionsError, match="no score"):
        score_histogram([], [])
