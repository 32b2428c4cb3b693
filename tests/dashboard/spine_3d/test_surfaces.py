from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.types import RawDetections
from dashboard.spine_3d import surfaces
from dashboard.studies import localizer
from dashboard.studies.open_study import OpenStudy
from tests.core.visualization.solids import volume_of


def raw_boxes(score):
    """The same box on three slices, seen by one pass."""
    n = 3
    return RawDetections(
        study_id="1.2",
        slice_index=np.arange(4, 4 + n),
        xyxy=np.tile([10.0, 12.0, 22.0, 26.0], (n, 1)),
        scores=np.full(n, score),
        source=np.zeros(n, np.int64),
        n_sources=1,
        z_mm=-np.arange(12.0) * 2,
        models=("made",),
    )


@pytest.fixture
def study():
    return OpenStudy("f" * 64, volume_of(np.zeros((12, 40, 40)), (2.0, 1.0, 1.0)))


def localiser(monkeypatch, raw, threshold=0.5):
    bundle = SimpleNamespace(
        operating_points={"box": {"threshold": threshold}}, folder=Path("made")
    )
    monkeypatch.setattr(localizer, "localizers", lambda: [bundle])
    monkeypatch.setattr(localizer, "find_raw", lambda *_: raw)


def test_predicted_boxes_are_placed_in_patient_coordinates(study, monkeypatch):
    localiser(monkeypatch, raw_boxes(0.95), threshold=0.2)
    (found,) = surfaces.predicted_boxes(study)
    # Fusion extends a box to the neighbouring slices.
    assert found.min(axis=0) == pytest.approx([9.5, 11.5, -15])
    assert found.max(axis=0) == pytest.approx([21.5, 25.5, -5])


def test_boxes_below_the_operating_point_and_studies_without_a_run_show_nothing(study, monkeypatch):
    localiser(monkeypatch, raw_boxes(0.3), threshold=0.9)
    assert surfaces.predicted_boxes(study) == ()
    localiser(monkeypatch, None)
    assert surfaces.predicted_boxes(study) == ()
    monkeypatch.setattr(localizer, "localizers", list)
    assert surfaces.predicted_boxes(study) == ()
