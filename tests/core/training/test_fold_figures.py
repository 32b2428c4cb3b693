"""What the folds found is read back as it was written."""

from __future__ import annotations

import json

import pytest

from core.errors import TrainingError
from core.training.fold_figures import SUMMARY_FILE, read_fold_figures

LEVEL = {"auc": {"mean": 0.7, "sd": 0.1, "values": [0.6, 0.8]},
         "f1": {"mean": None, "sd": None, "values": [None, None]}}  # fmt: skip
POOLED = {"auc": 0.72, "f1": 0.5, "intervals": {"auc": [0.6, 0.8]}}


def write(folder, content):
    (folder / SUMMARY_FILE).write_text(json.dumps(content))


def test_levels_come_in_order_with_spread_pooled_figure_and_interval(tmp_path):
    write(tmp_path, {"folds": {"patient": LEVEL, "presence": LEVEL},
                     "pooled": {"patient": POOLED, "presence": {"pooled": POOLED}}})  # fmt: skip
    presence, patient = read_fold_figures(tmp_path)
    assert (presence.level, patient.level) == ("presence", "patient")
    assert (presence.mean, presence.sd, presence.values) == (0.7, 0.1, (0.6, 0.8))
    assert (patient.pooled, patient.interval) == (0.72, (0.6, 0.8))


def test_an_undefined_figure_stays_open(tmp_path):
    write(tmp_path, {"folds": {"patient": LEVEL}, "pooled": {"patient": POOLED}})
    (figure,) = read_fold_figures(tmp_path, "f1")
    assert (figure.mean, figure.values, figure.interval) == (None, (None, None), None)


def test_no_summary_is_no_figures_and_a_broken_one_is_named(tmp_path):
    assert read_fold_figures(tmp_path) == []
    write(tmp_path, {"folds": 3})
    with pytest.raises(TrainingError, match=SUMMARY_FILE):
        read_fold_figures(tmp_path)
