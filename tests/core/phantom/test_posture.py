"""A dislocation moves what lies above it, and nothing else."""

import numpy as np
import pytest

from core.phantom.anatomy import sample_anatomy
from core.phantom.posture import dislocate


def test_vertebrae_above_slip_to_the_front_and_those_below_stay():
    anatomy = sample_anatomy(np.random.default_rng(2))
    moved = dislocate(anatomy.poses, "C6", 5.0, np.random.default_rng(0))
    for name in ("C6", "C7", "T3"):
        assert moved[name] is anatomy.poses[name]
    base = anatomy.poses["C6"]
    way = (moved["C5"].origin - anatomy.poses["C5"].origin) @ base.axes.T
    assert way[1] == pytest.approx(-5.0, abs=3.5)
    assert way[1] < -1.5
    for name in ("C1", "C5"):
        axes = moved[name].axes
        assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-9)
    apart = moved["C1"].origin - moved["C5"].origin
    before = anatomy.poses["C1"].origin - anatomy.poses["C5"].origin
    assert np.linalg.norm(apart) == pytest.approx(np.linalg.norm(before))
