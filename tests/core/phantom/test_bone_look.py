"""Bones of the varied recipe differ from place to place and from person to person."""

import numpy as np
import pytest

from core.phantom.anatomy import sample_anatomy
from core.phantom.bone_look import BoneLook, sample_look
from core.phantom.degeneration import add_open_arch, age_shape
from core.phantom.disc_looks import altered, sample_discs
from core.phantom.recipe import VARIED, Range
from core.phantom.shapes import average_shape
from core.phantom.sizes import SIZES
from core.phantom.vertebrae import vertebra_distance

EVEN = BoneLook(0.0, 0.5, 60.0, 20.0, tuple(np.linspace(0, 6, 9)))


def points(*places):
    return tuple(np.array(axis, dtype=np.float32) for axis in zip(*places, strict=True))


def test_shells_are_thin_at_end_plates_and_pedicles_and_full_elsewhere():
    size = SIZES["C5"]
    top = (0.0, 0.0, size.height / 2)
    pedicle = (size.width / 2, size.depth / 2, 0.0)
    front = (0.0, -size.depth / 2, 0.0)
    spinous = (0.0, 25.0, 0.0)
    factor = EVEN.thickness(points(top, pedicle, front, spinous), size, body=True)
    assert factor == pytest.approx([0.5, 0.5, 1.0, 1.0])
    assert EVEN.thickness(points(top), size, body=False) == pytest.approx([1.0])


def test_waves_vary_the_shell_and_never_invert_it():
    look = BoneLook(0.6, 1.0, 60.0, 20.0, tuple(np.linspace(0, 6, 9)))
    rng = np.random.default_rng(0)
    there = tuple(rng.uniform(-25, 25, 4000).astype(np.float32) for _ in range(3))
    factor = look.thickness(there, SIZES["C5"], body=False)
    assert factor.min() > 0.1
    assert factor.std() > 0.25
    assert look.patches(there).mean() == pytest.approx(0, abs=3)


def test_texture_coarsens_and_fades_with_age_on_average():
    rng = np.random.default_rng(1)
    young, old = ([sample_look(rng, VARIED.bone, age) for _ in range(200)] for age in (25.0, 90.0))
    assert np.mean([n.grain_hu for n in old]) < 0.8 * np.mean([n.grain_hu for n in young])
    assert np.mean([n.patches_hu for n in old]) > 1.2 * np.mean([n.patches_hu for n in young])


def test_spurs_are_few_and_asymmetric_instead_of_a_rim():
    rng = np.random.default_rng(2)
    wear = {"C5": 1.0, "C6": 1.0}
    classic = age_shape(average_shape("C6"), wear, 70, rng)
    found = [age_shape(average_shape("C6"), wear, 70, rng, Range(3, 8)) for _ in range(30)]
    assert len(classic.spurs) > 20
    assert all(4 <= len(shape.spurs) <= 12 for shape in found)
    sides = [sum(spur.end[0] for spur in shape.spurs) for shape in found]
    assert np.std(sides) > 3
    assert not age_shape(average_shape("C6"), {"C5": 0.1}, 30, rng, Range(3, 8)).spurs


def test_a_person_without_a_mix_has_plain_bones():
    plain = sample_anatomy(np.random.default_rng(3))
    own = sample_anatomy(np.random.default_rng(3), VARIED.bone)
    assert plain.look is None
    assert plain.disc_looks == {}
    assert own.look is not None
    assert own.shapes["C2"].dens != plain.shapes["C2"].dens
    assert plain.shapes["C5"].stout == 1
    assert own.shapes["C5"].stout > 1
    assert own.shapes["C5"].reach_mm[0] != own.shapes["C5"].reach_mm[1]


def test_an_absent_arch_leaves_a_gap_of_a_centimetre_or_so():
    shapes = {"C1": average_shape("C1")}
    rng = np.random.default_rng(0)
    assert add_open_arch(shapes, rng, 0.0) is shapes
    opened = add_open_arch(shapes, rng, 1.0)["C1"]
    middle = opened.old_clefts[-1].point[0]
    at = points((middle, 24.3, 0.0))
    assert vertebra_distance("C1", at, shapes["C1"])[0] < 0 or abs(middle) > 8
    assert vertebra_distance("C1", at, opened)[0] > 1


def test_worn_discs_hold_gas_or_lime_at_their_shares_and_healthy_ones_never():
    rng = np.random.default_rng(0)
    mix = VARIED.bone
    looks = [sample_discs(rng, {"C5": 0.9, "C6": 0.1}, mix) for _ in range(800)]
    gas = np.mean([look.get("C5") == "gas" for look in looks])
    assert gas == pytest.approx(mix.vacuum, abs=0.04)
    assert {look.get("C6") for look in looks} <= {None, "fused"}
    fused = np.mean(["fused" in look.values() for look in looks])
    assert fused == pytest.approx(mix.fused, abs=0.02)


def test_gas_lies_within_the_disc_and_lime_at_its_rim():
    anatomy = sample_anatomy(np.random.default_rng(1))
    u = a = np.zeros(3, dtype=np.float32)
    plan = np.array([0.0, 0.92, 1.2], dtype=np.float32)
    gas, hu = altered("gas", u, a, plan, anatomy)
    assert hu < -500
    assert gas.tolist() == [1.0, 0.0, 0.0]
    rim, hu = altered("rim", u, a, plan, anatomy)
    assert hu > 300
    assert rim == pytest.approx([0.0, 1.0, 0.0])
