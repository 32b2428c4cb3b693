"""Layers over a study: its true mask, or the vertebrae that a segmenter labels."""

from __future__ import annotations

import numpy as np
import pytest

from core.constants import MASK_LABELS
from core.models.pairs import choose_segmenter
from core.visualization.colors import VERTEBRA_COLORS
from core.visualization.labels import labels_from_segmenter
from dashboard.studies import cohort, open_study, predicted_vertebrae
from dashboard.widgets.study_layers import study_layers
from tests.core.models.made_segmenter import write_untrained_segmenter


@pytest.fixture
def study(at_work):
    return open_study.open_study(cohort.find_cohort().studies[0].folder)


@pytest.fixture
def shipped(at_work, tmp_path, monkeypatch):
    """A segmenter among the installation's bundles."""
    write_untrained_segmenter(tmp_path / "checkpoints")
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "checkpoints"))
    return choose_segmenter(tmp_path / "checkpoints")


def test_without_a_mask_the_segmenter_labels_the_vertebrae_once_they_are_asked_for(
    study, shipped, monkeypatch
):
    (layer,) = study_layers(study, None, reveal=True, mask_shown=True)
    assert (layer.name, layer.shown) == ("Predicted vertebrae", False)
    assert layer.colors == {MASK_LABELS[name]: color for name, color in VERTEBRA_COLORS.items()}
    found = layer.labels()
    expected = labels_from_segmenter(study.volume, shipped)
    np.testing.assert_array_equal(
        found, np.zeros_like(found) if expected is None else expected.labels
    )
    assert found.shape == study.volume.hu.shape
    monkeypatch.setattr(predicted_vertebrae, "labels_from_segmenter", None)
    assert layer.labels() is found


def test_without_mask_and_segmenter_there_is_no_vertebra_layer(study):
    assert study_layers(study, None, reveal=True) == []


def test_a_true_mask_comes_first(study, shipped, tmp_path):
    record = cohort.find_cohort().studies[0]
    with_mask = type(record)(record.study_id, record.folder, mask_file=tmp_path / "m.nii")
    (layer,) = study_layers(study, with_mask, reveal=False, mask_shown=True)
    assert (layer.name, layer.shown) == ("Vertebrae", True)
