"""The synthetic studies are anatomy with truth, and repeat by seed."""

import numpy as np
import pytest

from core.constants import MASK_LABELS, VERTEBRAE
from core.data.phantom.anatomy import sample_anatomy
from core.data.phantom.fracture_kinds import KINDS, make_fracture
from core.data.phantom.study import PATIENT_PREVALENCE, _sample_fractures, make_study, render_study


@pytest.fixture(scope="module")
def healthy():
    rng = np.random.default_rng(3)
    return render_study(sample_anatomy(rng), (), rng, matrix=128)


def test_the_same_seed_gives_the_same_voxels_and_another_seed_others():
    first, again, other = (make_study(s, 0, matrix=64) for s in (5, 5, 6))
    assert first.hu.tobytes() == again.hu.tobytes()
    assert first.mask.tobytes() == again.mask.tobytes()
    assert first.hu.shape != other.hu.shape or (first.hu != other.hu).any()


def test_seven_vertebrae_stand_in_order_from_head_to_chest(healthy):
    heights = [np.argwhere(healthy.mask == MASK_LABELS[name])[:, 0].mean() for name in VERTEBRAE]
    assert np.all(np.diff(heights) > 0)


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


@pytest.mark.parametrize(
    ("vertebra", "kind"), [(v, k) for v in ("C1", "C2", "C5", "C7") for k, _ in KINDS[v]]
)
def test_each_fracture_opens_inside_its_own_vertebra(vertebra, kind):
    rng = np.random.default_rng(11)
    anatomy = sample_anatomy(rng)
    study = render_study(anatomy, (make_fracture(vertebra, kind, rng),), rng, matrix=192)
    assert set(np.unique(study.clefts)) == {0, MASK_LABELS[vertebra]}
    assert np.count_nonzero(study.clefts) >= 10
    slices = [i for i, _ in study.boxes()]
    assert len(slices) == len(set(slices)) >= 2
    for i, (x0, y0, x1, y1) in study.boxes():
        assert 0 <= x0 < x1 <= 192
        assert 0 <= y0 < y1 <= 192
        inside = np.count_nonzero(study.clefts[i, y0:y1, x0:x1])
        assert inside == np.count_nonzero(study.clefts[i])


def test_a_fracture_changes_the_image_where_it_lies():
    def scan(broken: bool):
        rng = np.random.default_rng(21)
        anatomy = sample_anatomy(rng)
        burst = make_fracture("C5", "burst", np.random.default_rng(1))
        return render_study(
            anatomy, (burst,) if broken else (), np.random.default_rng(2), matrix=128
        )

    broken, whole = scan(True), scan(False)
    line = broken.clefts > 0
    assert whole.hu[line].mean() - broken.hu[line].mean() > 25


def test_a_kind_that_does_not_occur_there_is_refused():
    with pytest.raises(ValueError, match="does not occur at C1"):
        make_fracture("C1", "burst", np.random.default_rng(0))


def test_prevalence_follows_the_real_set():
    rng = np.random.default_rng(0)
    draws = [_sample_fractures(rng) for _ in range(3000)]
    share = np.mean([bool(d) for d in draws])
    assert share == pytest.approx(PATIENT_PREVALENCE, abs=0.03)
    counts = {n: sum(f.vertebra == n for d in draws for f in d) for n in VERTEBRAE}
    assert counts["C7"] == max(counts.values())
    assert counts["C3"] == min(counts.values())
