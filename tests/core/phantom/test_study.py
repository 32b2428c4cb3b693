"""The synthetic studies are anatomy with truth, and repeat by seed."""

from dataclasses import replace

import numpy as np
import pytest

from core.constants import MASK_LABELS, VERTEBRAE
from core.phantom.anatomy import sample_anatomy
from core.phantom.fracture_kinds import KINDS, make_fracture
from core.phantom.grid import Grid
from core.phantom.scanner import acquire, sample_scanner
from core.phantom.soft_tissue import paint_soft_tissue
from core.phantom.study import LABELS, make_study, render_study


@pytest.fixture(scope="module")
def healthy():
    rng = np.random.default_rng(3)
    return render_study(sample_anatomy(rng), (), rng, matrix=128)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_voxels_and_another_seed_others():
    first, again, other = (make_study(s, 0, matrix=64) for s in (5, 5, 6))
    assert first.hu.tobytes() == again.hu.tobytes()
    assert first.mask.tobytes() == again.mask.tobytes()
    assert first.hu.shape != other.hu.shape or (first.hu != other.hu).any()


@pytest.mark.slow
def test_seven_vertebrae_stand_in_order_from_head_to_chest(healthy):
    heights = [np.argwhere(healthy.mask == MASK_LABELS[name])[:, 0].mean() for name in VERTEBRAE]
    assert np.all(np.diff(heights) > 0)


@pytest.mark.slow
def test_the_atlas_is_a_ring_without_a_body_and_the_dens_stands_inside_it(healthy):
    atlas = healthy.mask == MASK_LABELS["C1"]
    middle = int(np.median(np.flatnonzero(atlas.any(axis=(1, 2)))))
    ys, xs = np.nonzero(atlas[middle])
    inside = healthy.mask[middle, ys.min() : ys.max(), xs.min() : xs.max()]
    assert (inside == MASK_LABELS["C2"]).any()
    canal = (int(0.55 * ys.min() + 0.45 * ys.max()), int(np.round((xs.min() + xs.max()) / 2)))
    assert healthy.mask[middle, canal[0], canal[1]] == 0


def test_vertebrae_grow_from_c3_to_c7(healthy):
    volume = {n: int((healthy.mask == MASK_LABELS[n]).sum()) for n in VERTEBRAE}
    assert volume["C7"] > 1.3 * volume["C3"]


def test_cortex_is_denser_than_the_spongy_core(healthy):
    from scipy.ndimage import binary_erosion

    body = healthy.mask == MASK_LABELS["C5"]
    core = np.asarray(binary_erosion(body, np.ones((1, 3, 3)), iterations=2))
    rim = body & np.logical_not(binary_erosion(body, np.ones((1, 3, 3))))
    assert healthy.hu[rim].mean() > healthy.hu[core].mean() + 50


def test_air_soft_tissue_and_bone_have_their_hounsfield_units(healthy):
    assert (healthy.hu < -900).any()
    soft = healthy.hu[(healthy.hu > -20) & (healthy.hu < 120)]
    assert soft.size > 0.1 * healthy.hu.size
    assert healthy.hu.dtype == np.int16
    assert -1024 <= healthy.hu.min() <= healthy.hu.max() <= 3071


def test_a_healthy_study_has_no_cleft_and_no_box(healthy):
    assert not healthy.clefts.any()
    assert healthy.boxes() == []
    assert healthy.labels == (0,) * 7


def around(anatomy, vertebra):
    """A grid of 2 mm slices around one vertebra."""
    x, y, z = anatomy.poses[vertebra].origin
    return Grid(36, 144, 1.0, 2.0, (float(x) - 72, float(y) - 72, float(z) + 36))


SITES = {kind: v for v in ("C7", "C5", "C2", "C1") for kind, _ in KINDS[v]}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "vertebra"), sorted(SITES.items()))
def test_each_fracture_opens_inside_its_own_vertebra(vertebra, kind):
    rng = np.random.default_rng(11)
    anatomy = sample_anatomy(rng)
    fracture = make_fracture(vertebra, kind, rng, scale=anatomy.scale)
    study = render_study(anatomy, (fracture,), rng, grid=around(anatomy, vertebra))
    assert set(np.unique(study.clefts)) == {0, MASK_LABELS[vertebra]}
    assert (study.mask[study.clefts > 0] > 0).all()
    slices = [i for i, _ in study.boxes()]
    assert len(slices) == len(set(slices)) >= 1
    for i, (x0, y0, x1, y1) in study.boxes():
        assert 0 <= x0 < x1 <= 144
        assert 0 <= y0 < y1 <= 144
        inside = np.count_nonzero(study.clefts[i, y0:y1, x0:x1])
        assert inside == np.count_nonzero(study.clefts[i])


def test_a_fracture_changes_the_image_where_it_lies():
    anatomy = sample_anatomy(np.random.default_rng(21))
    grid = around(anatomy, "C2")
    dens = make_fracture("C2", "odontoid_2", np.random.default_rng(1), displaced=True)
    broken, whole = (
        render_study(anatomy, f, np.random.default_rng(2), grid=grid) for f in ((dens,), ())
    )
    line = broken.clefts > 0
    assert whole.hu[line].mean() - broken.hu[line].mean() > 25
    far = np.abs(grid.z() - anatomy.poses["C2"].origin[2]) > 32
    assert (np.abs(whole.hu[far] - broken.hu[far]) <= 1).mean() > 0.99


def test_thoracic_vertebrae_are_labelled_from_eight(healthy):
    assert LABELS["T3"] == 10
    assert set(np.unique(healthy.mask)) <= set(range(11))
    assert (healthy.mask == 8).any()


def test_thin_and_thick_slices_agree_on_the_volume_of_a_vertebra():
    anatomy = sample_anatomy(np.random.default_rng(4))
    x, y, z = (float(v) for v in anatomy.poses["C5"].origin)
    volumes = []
    for step in (1.0, 2.5):
        grid = Grid(int(50 / step), 144, 1.0, step, (x - 72, y - 72, z + 25))
        study = render_study(anatomy, (), np.random.default_rng(0), grid=grid)
        volumes.append(np.count_nonzero(study.mask == MASK_LABELS["C5"]) * step)
    assert volumes[0] == pytest.approx(volumes[1], rel=0.06)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_between_two_scans_of_one_neck_is_15_to_40_hu_in_soft_tissue(seed):
    anatomy = sample_anatomy(np.random.default_rng(seed))
    grid = around(anatomy, "C5")
    scanner = replace(sample_scanner(np.random.default_rng(seed)), motion=False, earrings=False)
    hu = paint_soft_tissue(grid, anatomy, [], np.random.default_rng(0))
    first, second = (
        acquire(hu.copy(), grid, anatomy, scanner, np.random.default_rng(k)).astype(float)
        for k in (1, 2)
    )
    soft = (hu[18] > -20) & (hu[18] < 120)
    noise = (first - second)[18][soft].std() / np.sqrt(2)
    assert 15 <= noise <= 40
    assert noise == pytest.approx(scanner.kernel.noise_hu, rel=0.2)


def test_a_kind_that_does_not_occur_there_is_refused():
    with pytest.raises(ValueError, match="does not occur at C1"):
        make_fracture("C1", "burst", np.random.default_rng(0))
