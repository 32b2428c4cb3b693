"""The shipped segmenter is small, measured on fresh studies, and labels a new one in order."""

import numpy as np
import pytest

from core.config import PROJECT_ROOT
from core.dataset.masks import load_vertebra_mask
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.experiments.cohorts import SEGMENTED_FRESH
from core.experiments.real_scan_text import stored_checks, with_section
from core.experiments.shipped_segmenter import NAME
from core.inference.segmentation import SegmentationPredictor
from core.models.pairs import choose_segmenter
from core.phantom.cohort import write_cohort
from core.preprocessing.label_overlap import overlap_of
from core.training.grid_card import grid_card

CHECKPOINTS = PROJECT_ROOT / "checkpoints"


@pytest.fixture(scope="module")
def bundle():
    return choose_segmenter(CHECKPOINTS)


def test_it_is_the_one_found_by_default_and_fits_into_git(bundle):
    assert (bundle.folder.name, bundle.config.name) == (NAME, NAME)
    assert bundle.weights_file.stat().st_size < 16 * 2**20
    shipped = sum(file.stat().st_size for file in CHECKPOINTS.rglob("*") if file.is_file())
    assert shipped < 80 * 2**20


def test_its_figures_are_of_fresh_synthetic_studies_and_stand_in_its_card(bundle):
    metrics = bundle.metrics
    assert metrics["synthetic"] is True
    assert [(row["cohort"], row["studies"], row["seed"]) for row in metrics["measured"]] == [
        (cohort.name, cohort.studies, cohort.seed) for cohort in SEGMENTED_FRESH
    ]
    headline = metrics["headline"]
    assert headline["low"] <= headline["value"] <= headline["high"]
    assert headline["n_patients"] == sum(cohort.studies for cohort in SEGMENTED_FRESH)
    for row in metrics["measured"]:
        assert row["seconds_per_100_slices"] < 10
    *_, latest = stored_checks(CHECKPOINTS)
    card = with_section(grid_card(bundle, metrics), bundle, latest["scans"])
    assert card == (bundle.folder / "MODEL_CARD.md").read_text()


@pytest.mark.slow
def test_it_labels_a_new_study_in_order(bundle, tmp_path):
    write_cohort(tmp_path, studies=1, seed=4243, jobs=1)
    (record,) = read_studies(tmp_path)
    volume = read_series(record.folder)
    labels = SegmentationPredictor(bundle, device="cpu").segment(volume).volume_labels()
    truth = np.minimum(load_vertebra_mask(record.mask_file, volume), 8)
    overlap = overlap_of(labels, truth, float(np.prod(volume.spacing_mm)))
    cervical = overlap.seen[:7]
    assert overlap.right[:7][cervical].mean() >= 0.8
    assert np.nanmean(overlap.dice[:7]) > 0.6
