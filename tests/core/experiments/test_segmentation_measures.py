"""Figures of a segmenter, by hand and on a small cohort."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from core.dataset.rsna import read_studies
from core.experiments.joined_cohort import join_cohorts
from core.experiments.real_segmentation import check_segmenter
from core.experiments.segmentation_measures import MeasuredStudy, measure_studies, summary_of
from core.inference.segmentation import Segmentation, SegmentationPredictor
from core.models.pairs import choose_segmenter
from core.phantom.cohort import write_cohort
from core.preprocessing.label_overlap import LabelOverlap
from core.preprocessing.spine_field import SpineField
from core.preprocessing.spine_grid import SpineGrid
from core.types import CTVolume


def overlap(dice, right):
    """C1 to C3 are in view, with these Dice coefficients and levels."""
    seen = np.arange(8) < 3
    return LabelOverlap(
        np.array([*dice, *[np.nan] * 5]), np.array([*right, *[False] * 5]), seen,
    )  # fmt: skip


def study(dice, right):
    present = np.zeros((4, 7), np.bool_)
    present[:2, 0] = True
    return MeasuredStudy(
        overlap(dice, right), overlap(dice, right), present.astype(np.float32), present, 4, 0.5
    )


def test_figures_are_means_over_studies_and_shares_of_vertebrae():
    found = summary_of(
        [study([0.9, 0.8, 0.7], [True, True, True]), study([0.5, 0.0, 0.1], [True, False, False])]
    )
    assert found["dice"] == pytest.approx((0.8 + 0.2) / 2)
    assert found["grid_dice"] == pytest.approx(0.5)
    assert found["right_level"] == pytest.approx(4 / 6)
    assert found["all_right"] == 0.5
    assert found["dice_by_class"]["C2"] == pytest.approx(0.4)
    assert found["dice_by_class"]["C7"] is None
    assert found["presence_auc"] == {"C1": 1.0, "pooled": 1.0}
    assert found["seconds_per_100_slices"] == pytest.approx(12.5)
    assert found["dice_interval"] == pytest.approx([0.2, 0.8])
    assert json.dumps(found, allow_nan=False)


def test_a_cohort_is_measured_against_its_masks(phantom_root, untrained_segmenter):
    predictor = SegmentationPredictor(choose_segmenter(untrained_segmenter), device="cpu")
    done = []
    studies = measure_studies(
        predictor, read_studies(phantom_root)[:1], lambda *now: done.append(now)
    )
    assert done == [(1, 1)]
    assert studies[0].overlap.seen[:3].any()
    assert studies[0].probs.shape == studies[0].present.shape
    assert 0 <= summary_of(studies)["dice"] <= 1


def test_cohorts_are_joined_without_copies(phantom_root, tmp_path):
    write_cohort(tmp_path / "other", studies=1, seed=2, jobs=1, matrix=64)
    roots = [phantom_root, tmp_path / "other"]
    join_cohorts(tmp_path / "joined", roots)
    joined = join_cohorts(tmp_path / "joined", roots)
    records = read_studies(joined)
    assert len(records) == 4
    assert all(record.mask_file is not None for record in records)
    assert all(record.fractured is not None for record in records)
    own = {r.study_id: r for r in read_studies(phantom_root)}
    assert sum(r.fractured == own[r.study_id].fractured for r in records if r.study_id in own) == 3
    assert len(pd.read_csv(joined / "train.csv")) == 4
    images = next((joined / "train_images").iterdir())
    assert images.is_symlink()


class _Known:
    """Stands for a segmenter whose labels are known: C2 above C3, each 5 planes."""

    def __init__(self, bundle):
        self.bundle = bundle

    def segment(self, volume):
        labels = np.zeros((10, 16, 16), np.uint8)
        labels[:5, 4:12, 4:12], labels[5:, 4:12, 4:12] = 2, 3
        labels[2, 4, 4] = 8
        field = SpineField(np.full((10, 2), 15.0), (1.0, 1.0), 32.0)
        probs = np.eye(9, dtype=np.float32)[labels].transpose(3, 0, 1, 2)
        return Segmentation(SpineGrid(field, volume.z_mm, 16, (32, 32)), probs)


def test_the_level_at_the_middle_of_a_marked_range_is_reported(untrained_segmenter):
    volume = CTVolume(
        np.zeros((10, 32, 32), np.int16), (2.0, 1, 1), np.eye(4), -2.0 * np.arange(10), (), (),
        "", "",
    )  # fmt: skip
    present = np.zeros((10, 7), np.bool_)
    present[0:5, 1], present[5:10, 3] = True, True
    predictor = _Known(choose_segmenter(untrained_segmenter))
    found = check_segmenter(predictor, volume, present)
    assert found.found == ("C2", "C3")
    assert found.levels == {"C2": "C2", "C4": "C3"}
    assert set(found.presence_auc) == {"C2", "C4", "pooled"}
    assert check_segmenter(predictor, volume, None).levels == {}
