from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.training.run_curves import (
    by_level,
    kept_epoch,
    measure_of,
    positions,
    smoothed,
    steps_per_epoch,
)

VALIDATION = pd.DataFrame(
    {
        "step": [10, 20, 30], "epoch": [1, 2, 3], "loss": [0.5, 0.3, 0.4], "auc": [0.6, 0.7, 0.8],
        "time": ["2026-01-01T00:00:00+00:00", "2026-01-01T00:30:00.5+00:00",
                 "2026-01-01T03:00:00+00:00"],
        "auc_by_output": [{"C1": 0.5, "C2": None}, {"C1": 0.6, "C2": None}, {"C1": 0.7, "C2": 0.9}],
    }
)  # fmt: skip


def test_smoothing_is_the_moving_average_without_its_bias():
    values, weight = np.array([4.0, 1.0, 7.0, 2.0]), 0.6
    mean, expected = 0.0, []
    for t, value in enumerate(values, start=1):
        mean = weight * mean + (1 - weight) * value
        expected.append(mean / (1 - weight**t))
    np.testing.assert_allclose(smoothed(values, weight), expected)
    np.testing.assert_allclose(smoothed(np.full(5, 3.0), 0.9), 3.0)
    np.testing.assert_array_equal(smoothed(values, 0.0), values)
    assert len(smoothed(np.empty(0), 0.5)) == 0
    for wrong in (-0.1, 1.0):
        with pytest.raises(ValueError, match="moving average"):
            smoothed(values, wrong)


def test_a_line_lies_at_its_step_its_epoch_or_its_hour():
    assert steps_per_epoch(VALIDATION) == 10
    lines = VALIDATION.assign(step=[5, 20, 30])
    np.testing.assert_array_equal(positions(lines, "step", 10.0), [5, 20, 30])
    np.testing.assert_array_equal(positions(lines, "epoch", 10.0), [0.5, 2, 3])
    np.testing.assert_array_equal(positions(lines, "epoch", None), [1, 2, 3])
    np.testing.assert_allclose(positions(lines, "hours", None), [0, 1800.5 / 3600, 3])
    bare = VALIDATION[["step"]]
    assert np.isnan(positions(bare, "hours", None)).all()
    assert np.isnan(positions(bare, "epoch", None)).all()
    assert steps_per_epoch(bare) is None
    assert steps_per_epoch(pd.DataFrame()) is None


def test_the_kept_epoch_is_the_one_of_the_bundle():
    assert kept_epoch(VALIDATION, "best") == 2
    assert kept_epoch(VALIDATION, "last") == 3
    assert kept_epoch(VALIDATION.assign(deficit=[0.1, 0.1, 0.2]), "best") == 1
    assert kept_epoch(VALIDATION[["step", "epoch"]], "best") is None
    assert kept_epoch(VALIDATION.assign(loss=[np.nan] * 3), "best") is None
    assert kept_epoch(pd.DataFrame(), "best") is None


def test_levels_have_a_column_each_and_one_output_has_none():
    table = by_level(VALIDATION)
    assert list(table) == ["C1", "C2"]
    assert list(table.index) == [1, 2, 3]
    assert table["C2"].isna().tolist() == [True, True, False]
    assert by_level(VALIDATION.assign(auc_by_output=[{"slice": 0.5}] * 3)).empty
    assert by_level(pd.DataFrame()).empty


def test_a_run_is_judged_by_the_measure_that_it_has():
    assert measure_of(VALIDATION) == "auc"
    assert measure_of(VALIDATION.assign(auc=[None] * 3, dice=[0.1] * 3)) == "dice"
    assert measure_of(pd.DataFrame()) is None
