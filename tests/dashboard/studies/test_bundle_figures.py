from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from core.config import PROJECT_ROOT
from core.experiments.shipped_localizer import NAME
from core.models.bundles import BundleConfig, BundleInfo, read_bundle
from core.models.operating_points import operating_point
from dashboard.studies.bundle_figures import headline, patient_auc, trained_on_synthetic


def bundle(metrics=None, points=None, trained_on=None) -> BundleInfo:
    config = BundleConfig(
        name="made", task="fracture", type=1, backbone="resnet50", size=64, crop=1.0,
        window_center=400, window_width=1800, weights_sha256="0" * 64, parameters=10,
        trained_on=trained_on or {}, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    return BundleInfo(Path("made"), config, metrics, points)


def test_the_headline_is_read_with_its_interval():
    entry = {"name": "slice AUC", "value": 0.9, "low": 0.8, "high": 0.95, "n_patients": 30}
    found = headline(bundle({"headline": entry}))
    assert (found.name, found.value, found.low, found.high, found.n_patients) == (
        "slice AUC", 0.9, 0.8, 0.95, 30,
    )  # fmt: skip


@pytest.mark.parametrize(
    "metrics", [None, {}, {"headline": None}, {"headline": []}, {"headline": {"name": "AUC"}},
                {"headline": {"value": "0.9"}}, {"headline": {"value": True}}]
)  # fmt: skip
def test_metrics_without_a_number_give_no_headline(metrics):
    assert headline(bundle(metrics)) is None


def test_a_headline_without_interval_says_so_with_nan():
    found = headline(bundle({"headline": {"value": 1}}))
    assert found.value == 1.0
    assert math.isnan(found.low)
    assert found.n_patients is None


def test_the_operating_point_of_the_level_is_taken():
    points = {"patient": {"threshold": 0.7, "rule": "highest F1"}, "vertebra": {"threshold": 0.2}}
    assert operating_point(bundle(points=points), "patient").threshold == 0.7
    assert operating_point(bundle(points=points), "patient").rule == "highest F1"
    assert operating_point(bundle(points=points), "vertebra").threshold == 0.2


@pytest.mark.parametrize("points", [None, {}, {"patient": 3}, {"patient": {"threshold": 1.5}}])
def test_without_a_usable_operating_point_the_threshold_is_one_half(points):
    point = operating_point(bundle(points=points), "patient")
    assert (point.threshold, point.rule) == (0.5, "")


def test_the_localiser_that_judges_by_default_has_an_auc_as_well(tmp_path):
    shipped = read_bundle(PROJECT_ROOT / "checkpoints" / NAME)
    found = patient_auc(shipped)
    assert found.name == "patient fracture AUC"
    assert round(found.value, 3) == 0.967
    assert found.low < found.value < found.high
    assert found.n_patients == 120
    assert patient_auc(bundle()) is None
    shutil.copytree(shipped.folder, tmp_path / NAME)
    for text in ("{", "[]", "{}", '{"held_out": {"patient": {"auc": "high"}}}'):
        (tmp_path / NAME / "predictions" / "levels.json").write_text(text)
        assert patient_auc(read_bundle(tmp_path / NAME)) is None


def test_training_data_is_called_synthetic_only_where_the_bundle_says_so():
    assert trained_on_synthetic(bundle()) is None
    assert trained_on_synthetic(bundle(trained_on={"synthetic": True})) is True
