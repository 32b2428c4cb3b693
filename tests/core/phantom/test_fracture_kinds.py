"""Each kind breaks its own part of its own vertebra, by as much as it says.

Sites are checked against the vertebra's dimensions in its frame: u to the left, a to the back, h
to the head, origin at the middle of the body (for C1: of the ring), in mm.
"""

from functools import cache

import numpy as np
import pytest

from core.constants import VERTEBRAE
from core.phantom.fracture_kinds import ANTERIOR, KINDS, make_fracture, sample_fracture
from core.phantom.sizes import SIZES
from core.phantom.truth import boxes_of
from core.phantom.vertebrae import bounds, vertebra_distance

PAIRS = [(v, kind) for v in VERTEBRAE for kind, _ in KINDS[v]]
ONE_EACH = list({kind: (v, kind) for v, kind in PAIRS}.values())
TILT = np.radians(18)


def frame_grid(vertebra, step):
    corners = zip(*bounds(vertebra), strict=True)
    u, a, h = (np.arange(b - 4, t + 4, step, dtype=np.float32) for b, t in corners)
    return u[:, None, None], a[None, :, None], h[None, None, :]


def scan_mask(fracture, pixel_mm, slice_mm):
    """Mask (z, y, x) of the cracks of a vertebra that leans forward, as a scanner samples it."""
    cos, sin = np.float32(np.cos(TILT)), np.float32(np.sin(TILT))
    u, a, h = crossed_points(fracture)
    spread = (u, cos * a - sin * h, sin * a + cos * h)
    x, y, z = (
        np.arange(p.min() - 8, p.max() + 8, step, dtype=np.float32)
        for p, step in zip(spread, (pixel_mm, pixel_mm, slice_mm), strict=True)
    )
    edges = np.diag([pixel_mm, pixel_mm, slice_mm / 3])
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    mask = np.zeros((len(z), len(y), len(x)), dtype=bool)
    for depth in (-slice_mm / 3, 0, slice_mm / 3):
        zz, yy = (z + np.float32(depth))[:, None, None], y[None, :, None]
        points = (x[None, None, :], cos * yy + sin * zz, cos * zz - sin * yy)
        mask |= fracture.sample(points, None, edges @ turn).crossed
    return mask


@cache
def near_bone(vertebra, step):
    """Points of a grid that lie in or close to the healthy bone, and its distance there."""
    points = frame_grid(vertebra, step)
    distance = vertebra_distance(vertebra, points)
    near = distance < 3.5
    return tuple(np.broadcast_to(p, near.shape)[near] for p in points), distance[near]


def crossed_points(fracture, step=1.4):
    points, _ = near_bone(fracture.vertebra, step)
    crossed = fracture.sample(points, None, np.eye(3) * step).crossed
    return tuple(p[crossed] for p in points)


def in_body(size, u, a):
    return (np.abs(u) < size.width / 2 + 2.5) & (a < size.depth / 2 + 5)


def behind_canal_middle(size, a):
    return a > size.depth / 2 + size.canal_depth / 2 - 0.5


SITES = {
    "jefferson": lambda s, u, a, h: (a < -8) | (a > 4),
    "posterior_arch": lambda s, u, a, h: (a > 4) & (np.abs(u) > 6),
    "odontoid_1": lambda s, u, a, h: (h > 18) & (np.abs(u) < 7.5),
    "odontoid_2": lambda s, u, a, h: (h > 6) & (h < 18.5) & (np.abs(u) < 7.5) & (a < 6),
    "odontoid_3": lambda s, u, a, h: (h > -2) & (np.abs(u) < 17) & (a < 10),
    "hangman": lambda s, u, a, h: (np.abs(u) > 9.5) & (a > 4) & (a < 17),
    "compression": lambda s, u, a, h: in_body(s, u, a) & (h > -s.height / 2 + 1),
    "burst": lambda s, u, a, h: in_body(s, u, a) | behind_canal_middle(s, a),
    "teardrop": lambda s, u, a, h: in_body(s, u, a),
    "lamina": lambda s, u, a, h: behind_canal_middle(s, a) & (np.abs(u) > 2),
    "facet": lambda s, u, a, h: (np.abs(u) > s.canal_width / 2 - 1) & (a > s.depth / 2),
    "transverse_process": lambda s, u, a, h: np.abs(u) > s.foramen_u - 1.5,
    "spinous_process": lambda s, u, a, h: (a > s.depth / 2 + s.canal_depth + 3) & (np.abs(u) < 9),
}

MOVED = SITES | {
    "jefferson": lambda s, u, a, h: np.abs(u) > 1,
    "posterior_arch": lambda s, u, a, h: a > 3,
    "odontoid_1": lambda s, u, a, h: (h > 16) & (np.abs(u) < 7.5),
    "odontoid_2": lambda s, u, a, h: (h > 5) & (np.abs(u) < 7.5),
    "odontoid_3": lambda s, u, a, h: (h > -2) & (np.abs(u) < 17.5) & (a < 10.5),
    "hangman": lambda s, u, a, h: a < 17,
    "compression": lambda s, u, a, h: (np.abs(u) < s.width / 2 + 4.5) & (a < s.depth / 2 + 3),
    "burst": lambda s, u, a, h: (np.abs(u) < s.width / 2 + 4.5) & (a < s.depth / 2 + 7.5),
    "teardrop": lambda s, u, a, h: (a < 2) & (np.abs(u) < s.width / 2 + 2.5),
    "lamina": lambda s, u, a, h: behind_canal_middle(s, a),
    "transverse_process": lambda s, u, a, h: (np.abs(u) > s.width / 2) & (a < s.depth / 2 + 8),
    "spinous_process": lambda s, u, a, h: a > s.depth / 2 + s.canal_depth + 2.5,
}


@pytest.mark.parametrize(("vertebra", "kind"), PAIRS)
def test_the_cracks_lie_at_the_kinds_site(vertebra, kind):
    for seed in range(2):
        fracture = make_fracture(
            vertebra, kind, np.random.default_rng(seed), displaced=bool(seed % 2)
        )
        assert (fracture.vertebra, fracture.kind) == (vertebra, kind)
        u, a, h = crossed_points(fracture)
        assert len(u) > 15
        assert SITES[kind](SIZES[vertebra], u, a, h).all()


def test_a_jefferson_breaks_both_arches_and_a_posterior_arch_only_one():
    for seed in range(4):
        a = crossed_points(make_fracture("C1", "jefferson", np.random.default_rng(seed)))[1]
        assert (a < -8).any()
        assert (a > 4).any()


def test_the_three_dens_types_part_it_at_tip_neck_and_body():
    def middle(kind, seed):
        u, _, h = crossed_points(make_fracture("C2", kind, np.random.default_rng(seed)))
        return float(np.median(h[np.abs(u) < 2]))

    for seed in range(4):
        one, two, three = (middle(f"odontoid_{k}", seed) for k in (1, 2, 3))
        assert three < SIZES["C2"].height / 2 - 1 < two < 16 < 20 < one


def test_a_hangmans_fracture_breaks_both_sides():
    u = crossed_points(make_fracture("C2", "hangman", np.random.default_rng(0)))[0]
    assert set(np.sign(u)) == {-1, 1}


@pytest.mark.parametrize("vertebra", ["C2", "C5", "C7"])
def test_a_teardrop_parts_the_lower_front_corner(vertebra):
    size = SIZES[vertebra]
    for seed in range(6):
        fracture = make_fracture(vertebra, "teardrop", np.random.default_rng(seed))
        corner = fracture.breaks[0]
        inside = np.float32([[0.0], [-size.depth / 2], [-size.height / 2]])
        assert corner.side(tuple(inside))[0] > 0
        for a, h in ((0.0, 0.0), (-size.depth / 2, size.height / 2), (4.0, -size.height / 2)):
            assert corner.side(tuple(np.float32([[0.0], [a], [h]])))[0] < 0


@pytest.mark.parametrize(("vertebra", "kind"), ONE_EACH)
def test_the_bone_changes_only_where_the_kind_moves_it(vertebra, kind):
    points, whole = near_bone(vertebra, 1.4)
    for seed in range(2):
        still = make_fracture(vertebra, kind, np.random.default_rng(seed), displaced=False)
        np.testing.assert_array_equal(still.sample(points).distance, whole)
        moved = make_fracture(vertebra, kind, np.random.default_rng(seed), displaced=True)
        broken = moved.sample(points).distance
        changed = (np.abs(broken - whole) > 0.05) & (np.minimum(broken, whole) < 1)
        place = tuple(p[changed] for p in points)
        assert changed.any()
        assert MOVED[kind](SIZES[vertebra], *place).all()


@pytest.mark.parametrize(("vertebra", "kind"), PAIRS)
def test_fragments_part_from_the_rest_only_at_a_crack(vertebra, kind):
    step = 1.2
    points = frame_grid(vertebra, step)
    fracture = make_fracture(vertebra, kind, np.random.default_rng(5), displaced=True)
    bone = fracture.sample(points).distance < -0.8
    sides = [b.side(points) for b in fracture.breaks]
    weight = sum((f.weight(points, sides) for f in fracture.fragments), np.zeros(bone.shape))
    assert weight.max() <= 1
    near = np.zeros(bone.shape, dtype=bool)
    for cut, side in zip(fracture.breaks, sides, strict=True):
        near |= np.abs(side) < cut.gap_mm / 2 + 2 * step
    torn = 0
    for axis in range(3):
        w, b, n = (np.moveaxis(v, axis, 0) for v in (weight, bone, near))
        torn += np.count_nonzero((np.abs(np.diff(w, axis=0)) > 0.75) & b[1:] & b[:-1] & ~n[1:])
    assert torn <= 1


@pytest.mark.parametrize(("vertebra", "kind"), ONE_EACH)
def test_cracks_lie_in_bone(vertebra, kind):
    points, whole = near_bone(vertebra, 1.4)
    fracture = make_fracture(vertebra, kind, np.random.default_rng(1), displaced=False)
    crossed = fracture.sample(points).crossed
    assert crossed.any()
    assert (whole[crossed] < 0).all()


@pytest.mark.parametrize(("vertebra", "kind"), [p for p in ONE_EACH if p[1] != "compression"])
def test_the_missing_volume_is_gap_times_area(vertebra, kind):
    step = 0.9
    points, _ = near_bone(vertebra, step)
    fracture = make_fracture(vertebra, kind, np.random.default_rng(4), displaced=False)
    bone = fracture.sample(points, None, np.eye(3) * step)
    inside = bone.distance < 0
    missing = (bone.gap * inside).sum() * step**3
    slab = 1.8
    expected = 0.0
    for cut in fracture.breaks:
        thin = (np.abs(cut.side(points)) < slab / 2) & cut.region(points) & inside
        expected += cut.gap_mm * thin.sum() * step**3 / slab
    assert missing == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("slice_mm", [2.0, 0.5])
@pytest.mark.parametrize(("vertebra", "kind"), ONE_EACH)
def test_even_a_hairline_is_marked_and_boxed_on_the_scanners_grid(vertebra, kind, slice_mm):
    fracture = make_fracture(vertebra, kind, np.random.default_rng(9), displaced=False)
    mask = scan_mask(fracture, 0.8, slice_mm)
    assert mask.sum() >= 20
    boxes = boxes_of(mask.astype(np.uint8), 0.8)
    assert len({i for i, _ in boxes}) == len(boxes) >= 2
    for i, (x0, y0, x1, y1) in boxes:
        ys, xs = np.nonzero(mask[i])
        assert x0 <= xs.min() - 3
        assert y0 <= ys.min() - 3
        assert x1 >= xs.max() + 4
        assert y1 >= ys.max() + 4


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(0)
    return [sample_fracture(v, rng, scale=s) for v in VERTEBRAE for s in (0.9, 1.1) * 100]


def test_gaps_and_displacements_keep_their_ranges(many):
    for fracture in many:
        for cut in fracture.breaks:
            assert 0.3 <= cut.gap_mm <= 2.0
        assert 0 <= fracture.displacement_mm <= 4.0 + 1e-6
        if fracture.displacement_mm == 0:
            assert fracture.breaks
            assert fracture.gap_mm <= 1.0
        else:
            assert fracture.displacement_mm >= 0.5 - 1e-6
    assert max(f.gap_mm for f in many) > 1.9
    assert max(f.displacement_mm for f in many) > 3.5


def test_half_of_the_fractures_are_not_displaced(many):
    still = np.mean([f.displacement_mm == 0 for f in many])
    assert still == pytest.approx(0.5, abs=0.05)


def test_no_fragment_moves_into_the_bone_it_left_or_opens_its_crack_beyond_the_gap(many):
    for fracture in many:
        if fracture.kind == "burst":
            continue
        for fragment in fracture.fragments:
            for k in fragment.faces:
                cut = fracture.breaks[k]
                along = float(np.dot(fragment.shift_mm, cut.unit_normal))
                assert -0.02 <= along <= cut.gap_mm + 0.02


def test_swelling_goes_with_injuries_in_front(many):
    front = [f.swelling_mm > 0 for f in many if f.kind in ANTERIOR]
    back = [f.swelling_mm > 0 for f in many if f.kind not in ANTERIOR]
    assert np.mean(front) == pytest.approx(0.6, abs=0.06)
    assert 0 < np.mean(back) < 0.2
    assert max(f.swelling_mm for f in many) <= 8


def test_shares_are_complete_and_follow_the_literatures_order():
    for name in VERTEBRAE:
        assert sum(share for _, share in KINDS[name]) == pytest.approx(1)
    c2 = dict(KINDS["C2"])
    assert max(c2, key=c2.get) == "odontoid_2"
    assert c2["odontoid_3"] > c2["hangman"] > c2["odontoid_1"]
    spinous = [dict(KINDS[n]).get("spinous_process", 0) for n in VERTEBRAE]
    assert spinous[5] + spinous[6] > sum(spinous[:5])
    process = {"facet", "lamina", "transverse_process", "spinous_process"}
    shares = [sum(s for k, s in KINDS[n] if k in process) for n in VERTEBRAE[2:]]
    assert shares == sorted(shares)


def test_drawn_kinds_follow_their_shares():
    rng = np.random.default_rng(1)
    draws = [sample_fracture("C7", rng).kind for _ in range(800)]
    for kind, share in KINDS["C7"]:
        assert draws.count(kind) / 800 == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize(("vertebra", "kind"), ONE_EACH)
def test_the_same_seed_makes_the_same_crack(vertebra, kind):
    points = frame_grid(vertebra, 2.5)
    one, two = (
        make_fracture(vertebra, kind, np.random.default_rng(3)).sample(points) for _ in range(2)
    )
    assert one.distance.tobytes() == two.distance.tobytes()
    assert one.crossed.tobytes() == two.crossed.tobytes()


def test_a_kind_that_does_not_occur_there_is_refused():
    with pytest.raises(ValueError, match="does not occur at C1"):
        make_fracture("C1", "burst", np.random.default_rng(0))
