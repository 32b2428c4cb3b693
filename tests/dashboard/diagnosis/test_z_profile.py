from __future__ import annotations

import numpy as np
import pytest

from core.inference.study_scores import score_study
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.diagnosis.z_profile import z_profile_figure
from dashboard.widgets.palette import with_alpha
from tests.core.inference.test_study_scores import predictions, two_vertebrae


def trace(figure, name):
    return next(t for t in figure.data if t.name == name)


def test_the_line_is_p_over_z_slice_by_slice():
    scores = score_study(two_vertebrae())
    line = trace(z_profile_figure(scores, 3), "p_i")
    np.testing.assert_array_equal(line.y, scores.z_mm)
    np.testing.assert_array_equal(line.customdata, np.arange(6))
    np.testing.assert_allclose(line.x[:5], scores.patient.slice_probs[:5])


def test_a_slice_without_any_vertebra_leaves_a_gap():
    line = trace(z_profile_figure(score_study(two_vertebrae()), 0), "p_i")
    assert np.isnan(line.x[5])


def test_extents_are_drawn_for_seen_vertebrae_only_in_their_colours():
    figure = z_profile_figure(score_study(two_vertebrae()), 0)
    assert [t.name for t in figure.data if t.name != "p_i"] == ["C1", "C2"]
    c2 = trace(figure, "C2")
    assert (min(c2.y), max(c2.y)) == pytest.approx((100 - 12 - 1.5, 100 - 6 + 1.5))
    assert c2.fillcolor == with_alpha(VERTEBRA_COLORS["C2"], 0.9)


def test_the_current_slice_is_marked_at_its_height():
    scores = score_study(two_vertebrae())
    figure = z_profile_figure(scores, 4)
    marker = next(s for s in figure.layout.shapes if s.name == "current slice")
    assert marker.y0 == marker.y1 == scores.z_mm[4]
    assert any(a.text == "<b>4</b>" for a in figure.layout.annotations)


def test_axes_have_names_and_units_and_transparent_paper():
    figure = z_profile_figure(score_study(two_vertebrae()), 0)
    assert "mm" in figure.layout.yaxis.title.text
    assert figure.layout.xaxis2.title.text == "Fracture probability"
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_a_single_slice_can_be_drawn():
    presence = np.ones((1, 7))
    z_profile_figure(score_study(predictions(presence, np.full((1, 7), 0.3))), 0)
