from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.config import PROJECT_ROOT
from core.dataset.rsna import read_studies
from core.errors import PredictionsError
from core.evaluation.detection.files import BoxTables, fused_table, read_box_cohort, true_box_table
from core.experiments import localizer_baselines
from core.experiments.cohorts import PREDICTIONS_FOLDER
from core.experiments.localizer_baselines import heat_boxes, slice_probabilities
from core.experiments.localizer_report import HEAT_FILE, heat_measures
from core.experiments.shipped_localizer import NAME, SLICE_MODEL
from core.inference.boxes.tracks import FusionSettings
from core.inference.explain import Explanation
from core.models.bundles import read_bundle
from core.models.operating_points import operating_point
from core.types import RawDetections

CHECKPOINTS = PROJECT_ROOT / "checkpoints"


def study(name: str, n_slices: int) -> RawDetections:
    return RawDetections(
        study_id=name, slice_index=np.empty(0, np.int64), xyxy=np.empty((0, 4)),
        scores=np.empty(0), source=np.empty(0, np.int64), n_sources=2,
        z_mm=np.arange(float(n_slices)), models=("a",),
    )  # fmt: skip


@pytest.mark.slow
def test_a_box_of_heat_is_measured_where_the_truth_is(phantom_root, monkeypatch):
    record = read_studies(phantom_root)[0]
    truth = true_box_table([(0, 4, (10, 20, 30, 40)), (0, 5, (0, 0, 8, 8))])
    cohort = BoxTables((study(record.study_id, 40),), truth, ("C2", "C2"), ("", ""))

    def looks_at(volume, bundle, index, vertebra):
        heat = np.zeros(volume.hu.shape[1:], np.float32)
        if index == 4:
            heat[20:40, 10:30] = 1.0
        return Explanation(heat, (0, 0, 1, 1), 0.75, index, vertebra)

    monkeypatch.setattr(localizer_baselines, "explain_slice", looks_at)
    steps = []
    found = heat_boxes(None, [record], cohort, lambda *step: steps.append(step))

    assert steps == [(1, 1)]
    assert found.slice_index.tolist() == [4]
    assert found.xyxy.tolist() == [[10, 20, 30, 40]]
    assert found.scores.tolist() == [0.75]
    # One of two true boxes is met exactly, the other has no heat at all.
    measured = heat_measures(found, cohort, "fracture_type1")
    assert measured["mean_iou_best_scored"] == 0.5
    assert measured["hit_rate"] == 0.5


@pytest.mark.slow
def test_probabilities_in_git_fit_the_shipped_boxes_slice_by_slice():
    cohort = read_box_cohort(CHECKPOINTS / NAME / PREDICTIONS_FOLDER)
    bundle = read_bundle(CHECKPOINTS / SLICE_MODEL)
    probabilities = slice_probabilities(bundle, cohort)

    assert [len(p) for p in probabilities] == cohort.n_slices.tolist()
    settings = FusionSettings(slice_threshold=operating_point(bundle, "slice").threshold)
    gated = fused_table(cohort.raw, settings, probabilities)
    assert 0 < len(gated) < len(fused_table(cohort.raw, FusionSettings()))
    called = [probabilities[k][i] for k, i in zip(gated.study, gated.slice_index, strict=True)]
    assert min(called) >= settings.slice_threshold


def test_a_study_without_probabilities_is_named():
    cohort = read_box_cohort(CHECKPOINTS / NAME / PREDICTIONS_FOLDER)
    stranger = replace(cohort, raw=(study("1.2.3", 4),))
    with pytest.raises(PredictionsError, match=r"1\.2\.3"):
        slice_probabilities(read_bundle(CHECKPOINTS / SLICE_MODEL), stranger)


def test_the_grad_cam_figures_are_those_of_the_metrics():
    bundle = read_bundle(CHECKPOINTS / NAME)
    assert (bundle.folder / PREDICTIONS_FOLDER / HEAT_FILE).is_file()
    assert 0 < bundle.metrics["grad_cam"]["mean_iou_best_scored"] < 1
