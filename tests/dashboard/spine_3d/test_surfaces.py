from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from core.types import RawDetections
from dashboard.spine_3d import surfaces
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
        file_numbers=np.arange(1, 13),
        models=("made",),
    )


@pytest.fixture
def study():
    return OpenStudy("f" * 64, volume_of(np.zeros((12, 40, 40)), (2.0, 1.0, 1.0)))


def localiser(monkeypatch, raw, threshold=0.5):
    bundle = SimpleNamespace(operating_points={"box": {"threshold": threshold}})
    monkeypatch.setattr(surfaces, "localizers", lambda: [bundle])
    monkeypatch.setattr(surfaces, "find_raw", lambda *_: raw)


def test_what_a_localiser_found_stands_in_the_patient(study, monkeypatch):
    localiser(monkeypatch, raw_boxes(0.95), threshold=0.2)
    (found,) = surfaces.predicted_boxes(study)
    # Fusion lends a box to the slices beside its own.
    assert found.slices == (3, 7)
    assert found.corners.min(axis=0) == pytest.approx([9.5, 11.5, -15])
    assert found.corners.max(axis=0) == pytest.approx([21.5, 25.5, -5])


def test_boxes_below_the_operating_point_and_studies_not_read_show_nothing(study, monkeypatch):
    localiser(monkeypatch, raw_boxes(0.3), threshold=0.9)
    assert surfaces.predicted_boxes(study) == ()
    localiser(monkeypatch, None)
    assert surfaces.predicted_boxes(study) == ()
    monkeypatch.setattr(surfaces, "localizers", list)
    assert surfaces.predicted_boxes(study) == ()
