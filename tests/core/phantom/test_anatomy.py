"""People differ by sex, age and posture in the directions the literature gives, and repeat."""

from itertools import pairwise

import numpy as np
import pytest

from core.phantom.anatomy import sample_anatomy
from core.phantom.degeneration import sample_disc_wear
from core.phantom.sizes import LEVELS, SIZES


@pytest.fixture(scope="module")
def people():
    return [sample_anatomy(np.random.default_rng(k)) for k in range(100)]


def test_the_same_generator_gives_the_same_person():
    first, again = (sample_anatomy(np.random.default_rng(7)) for _ in range(2))
    assert first.shapes == again.shapes
    assert first.texture.tobytes() == again.texture.tobytes()
    for name in LEVELS:
        np.testing.assert_array_equal(first.poses[name].origin, again.poses[name].origin)


@pytest.mark.slow
def test_levels_run_from_c1_to_t3_and_stand_in_order(people):
    assert LEVELS[-3:] == ("T1", "T2", "T3")
    for person in people:
        assert np.all(np.diff([person.poses[n].origin[2] for n in LEVELS]) < -6)
        assert set(person.shapes) == set(person.poses) == set(LEVELS)


@pytest.mark.slow
def test_every_pose_is_a_rotation(people):
    for person in people[:20]:
        for pose in person.poses.values():
            np.testing.assert_allclose(pose.axes @ pose.axes.T, np.eye(3), atol=1e-9)
            assert np.linalg.det(pose.axes) == pytest.approx(1)


def test_c4_stands_near_the_origin(people):
    offset = np.array([p.poses["C4"].origin for p in people])
    assert np.abs(offset).max() < 25
    assert np.abs(offset[:, 2]).max() < 1e-9


def test_women_are_smaller_and_their_bodies_shallower(people):
    women = [p for p in people if p.female]
    men = [p for p in people if not p.female]
    assert len(women) > 20
    assert np.mean([p.scale for p in women]) < np.mean([p.scale for p in men]) - 0.04
    depth = [np.mean([p.shapes["C5"].size.depth for p in g]) for g in (women, men)]
    assert depth[0] < depth[1]


def test_the_old_have_thinner_discs_more_spurs_and_less_dense_bone(people):
    old = [p for p in people if p.age_years > 70]
    young = [p for p in people if p.age_years < 40]
    assert np.mean([p.discs["C5"] for p in old]) < 0.8 * np.mean([p.discs["C5"] for p in young])
    spurs = [np.mean([sum(len(s.spurs) for s in p.shapes.values()) for p in g]) for g in
             (old, young)]  # fmt: skip
    assert spurs[0] > 5 * spurs[1]
    density = [np.mean([p.trabecular_hu for p in g]) for g in (old, young)]
    assert density[0] < density[1] - 80


def test_c5_c6_wears_before_c2_c3():
    rng = np.random.default_rng(0)
    draws = [sample_disc_wear(70, rng) for _ in range(300)]
    assert np.mean([d["C5"] for d in draws]) > 2 * np.mean([d["C2"] for d in draws])
    assert all(0 <= v <= 1 for d in draws for v in d.values())


def test_bodies_widen_downwards_and_c7_has_the_longest_cervical_spinous_process():
    widths = [SIZES[n].width for n in ("C3", "C4", "C5", "C6", "C7")]
    assert widths == sorted(widths)
    assert max(LEVELS[:7], key=lambda n: SIZES[n].spinous) == "C7"


def test_spinous_processes_of_c7_and_below_are_not_forked(people):
    for person in people:
        assert all(person.shapes[n].fork_mm == 0 for n in ("C1", "C7", "T1", "T2", "T3"))
    assert np.mean([p.shapes["C4"].fork_mm > 0 for p in people]) > 0.7


def test_old_findings_and_fillings_occur_but_not_in_everyone(people):
    clefts = np.mean([any(s.old_clefts for s in p.shapes.values()) for p in people])
    assert 0.03 < clefts < 0.4
    fillings = np.mean([2 in p.dentition.upper + p.dentition.lower for p in people])
    assert 0.15 < fillings < 0.6
    assert any(not any(p.dentition.upper + p.dentition.lower) for p in people)


def test_uncinate_processes_do_not_reach_into_the_body_above(people):
    for person in people:
        for upper, lower in pairwise(LEVELS[1:]):
            gap = person.discs[upper] / person.scale
            assert person.shapes[lower].size.uncus <= gap + 0.8 + 1e-9


def test_spongy_texture_is_drawn_out_along_the_load_and_wraps_around(people):
    texture = people[0].texture
    assert texture.shape == (64, 64, 64)
    assert texture.std() == pytest.approx(1, abs=1e-3)
    along = (texture * np.roll(texture, 2, axis=0)).mean()
    across = (texture * np.roll(texture, 2, axis=2)).mean()
    assert along > across + 0.1
    seam = np.abs(texture[0] - texture[-1]).mean()
    inner = np.abs(texture[1] - texture[0]).mean()
    assert seam == pytest.approx(inner, rel=0.2)
