from __future__ import annotations

import numpy as np
import pytest

from core.inference.study_scores import score_study
from core.inference.verdict import judge
from core.types import SlicePredictions
from core.visualization.scene import SceneInfo, SceneLevel, scene_levels
from core.visualization.scene_surfaces import SceneParts
from core.visualization.surfaces import Surface
from dashboard.diagnosis.z_profile import z_profile_figure
from dashboard.spine_3d.details import figures_table, vertebra_strip
from dashboard.spine_3d.level_profile import level_profile_figure
from tests.core.inference import test_verdict as made
from tests.core.visualization.solids import volume_of


def surface(volume, first, last) -> Surface:
    """Two corners of a vertebra that reaches over these slices."""
    index = np.array([[first, 2, 2, 1], [last, 6, 6, 1]], np.float64)
    points = (index @ volume.affine.T)[:, :3].astype(np.float32)
    return Surface("C4", points, np.zeros((0, 3), np.int32), 1.0)


@pytest.mark.parametrize("peak", [None, 0, 30, 36, 37, 44, 51, 55, 79])
@pytest.mark.parametrize(("first", "last"), [(36, 51), (40, 42), (41, 41)])
def test_a_vertebra_is_shown_on_its_own_slices_only(first, last, peak):
    volume = volume_of(np.zeros((80, 8, 8)))
    strip = vertebra_strip(
        volume, surface(volume, first, last), SceneLevel("C4", "#fff", peak=peak)
    )
    slices = [i for i, _ in strip]
    assert slices == sorted(set(slices))
    assert len(slices) == min(5, last - first + 1)
    assert first <= slices[0]
    assert slices[-1] <= last
    if peak is not None and first <= peak <= last:
        assert peak in slices


@pytest.mark.parametrize("fracture_type", [1, 2, 3, 4])
def test_the_probability_along_z_is_that_of_diagnosis(fracture_type):
    rng = np.random.default_rng(fracture_type)
    fracture = rng.random((12, 7)).astype(np.float32)
    if fracture_type == 1:
        fracture[:] = fracture[:, :1]
    presence = np.zeros((12, 7), np.float32)
    for j in range(7):
        presence[max(j - 1, 0) : j + 3, j] = 0.6 + 0.1 * rng.random()
    scores = score_study(
        SlicePredictions("made", -np.arange(12.0), presence, fracture, fracture_type)
    )
    line = next(t for t in z_profile_figure(scores, 0).data if t.name == "p_i")
    along = dict(zip(line.customdata, line.x, strict=True))
    for level in scene_levels(scores).values():
        (bars,) = level_profile_figure(level).data
        assert dict(zip(bars.x, bars.y, strict=True)) == pytest.approx(
            {i: along[i] for i in bars.x}
        )


@pytest.mark.parametrize(("score", "called"), [(0.5, True), (2.0, False)])
def test_without_a_call_the_scene_has_no_probabilities_and_the_table_mutes_them(score, called):
    scores = made.scores(score)
    verdict = judge(scores, made.pair())
    levels = scene_levels(scores, judged=called)
    assert any(level.prob is not None for level in levels.values()) is called
    info = SceneInfo(tuple(levels.values()), (), (0.0, 0.0, 0.0), {})
    table = figures_table(SceneParts({}, {}, None, "presence"), info, scores, verdict, None)
    assert "0.367" in table
    assert ('lab-muted">0.367' in table) is not called
    assert table.count("no call</span>") == (0 if called else 2)
    assert table.count("not seen") == 5
