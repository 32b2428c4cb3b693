"""Tables of the experiments quote the files beside the bundles."""

from __future__ import annotations

import json

import pytest

from core.config import PROJECT_ROOT
from core.experiments.type_comparison import TYPES_FILE
from scripts.results_experiments import experiment_tables


def figure(auc, difference=0.0, sd=None):
    return {
        "auc": auc, "low": auc - 0.1, "high": auc + 0.1, "runs": [auc], "difference": difference,
        "difference_low": difference and difference - 0.05,
        "difference_high": difference and difference + 0.05, "run_sd": sd,
    }  # fmt: skip


@pytest.fixture
def checkpoints(tmp_path):
    folder = tmp_path / "experiments"
    folder.mkdir()
    types = PROJECT_ROOT / "checkpoints" / "experiments" / TYPES_FILE
    (folder / TYPES_FILE).write_text(types.read_text())
    (folder / "preprocessing.json").write_text(
        json.dumps(
            {
                "title": "Made", "question": "Does it?", "seeds": [1, 2], "baseline": "plain",
                "slices_per_study": 24, "run": {"type": 3, "size": 96, "batch_size": 32},
                "results": {
                    "plain": {
                        "parameters": 3_200_000, "steps": [127, 127], "slices": [1, 1],
                        "figures": {"slice": figure(0.7, sd=0.01), "vertebra": figure(0.6)},
                    },
                    "augmented": {
                        "parameters": 3_200_000, "steps": [100, 127], "slices": [1, 1],
                        "figures": {"slice": figure(0.8), "vertebra": figure(0.65, 0.05)},
                    },
                },
            }
        )
    )  # fmt: skip
    return tmp_path


def test_arms_stand_with_spread_intervals_and_difference(checkpoints):
    rows = experiment_tables(checkpoints).splitlines()
    plain = next(row for row in rows if row.startswith("| plain |"))
    assert (
        plain == "| plain | 3.2 M | 127 | 0.700 ± 0.010 (0.600–0.800) | 0.600 (0.500–0.700) | – |"
    )
    augmented = next(row for row in rows if row.startswith("| augmented |"))
    assert augmented.split(" | ")[2] == "100–127"
    assert augmented.endswith("| +0.050 (+0.000 to +0.100) |")
    assert any("A mean of 2 runs" in row for row in rows)


def test_an_experiment_that_was_not_run_is_left_out(checkpoints):
    assert "### Backbones" not in experiment_tables(checkpoints)
    assert "### Made" in experiment_tables(checkpoints)
