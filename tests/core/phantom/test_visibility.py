"""How well a fracture shows is measured by contrast over noise, and set by filling its cracks."""

import numpy as np
import pytest

from core.constants import MASK_LABELS
from core.phantom.anatomy import sample_anatomy
from core.phantom.fracture_kinds import KINDS, mixed_fracture
from core.phantom.grid import Grid
from core.phantom.kernels import Kernel
from core.phantom.recipe import VARIED
from core.phantom.scanner import Scanner
from core.phantom.study import render_study
from core.phantom.truth import MIN_VOXELS
from core.phantom.visibility import Sight, show, shown_slices, stratum_of

SHARP = Kernel("SYNTHETIC1", 0.01, 0.0, 20.0)
GRID = Grid(4, 32, 0.5, 1.0, (0.0, 0.0, 0.0))


def plane(depth=80.0):
    """A crack that lowers a whole 8 x 8 patch of two slices by `depth` HU."""
    z, y, x = (v.ravel() for v in np.mgrid[1:3, 10:18, 10:18])
    return (z, y, x), np.full(z.size, -depth, np.float32), np.ones(z.size, dtype=bool)


def test_the_ratio_is_contrast_over_noise_where_the_kernel_changes_nothing():
    shown = show(*plane(80), Sight(GRID, SHARP), None)
    assert shown.cnr == pytest.approx(4.0)
    assert shown.share == 1
    assert shown.voxels.all()


def test_cracks_are_filled_to_the_ratio_wanted_and_never_emptied_beyond_it():
    assert show(*plane(80), Sight(GRID, SHARP), 2.0).share == pytest.approx(0.5)
    assert show(*plane(80), Sight(GRID, SHARP), 2.0).cnr == pytest.approx(2.0)
    assert show(*plane(80), Sight(GRID, SHARP), 9.0).cnr == pytest.approx(4.0)


def test_a_smooth_kernel_and_thick_slices_lower_the_ratio():
    spot, change, crossed = plane(80)
    thin = spot[2] == 13
    line = tuple(index[thin] for index in spot)
    sharp = show(line, change[thin], crossed[thin], Sight(GRID, SHARP), None).cnr
    smooth = Kernel("SYNTHETIC2", 0.9, 0.0, 20.0)
    assert show(line, change[thin], crossed[thin], Sight(GRID, smooth), None).cnr < 0.5 * sharp


def test_a_crack_below_the_noise_shows_nothing():
    shown = show(*plane(15), Sight(GRID, SHARP), None)
    assert shown.share == 0
    assert shown.cnr == 0
    assert not shown.voxels.any()


def test_slices_with_too_few_voxels_do_not_show_a_fracture():
    z = np.array([3] * MIN_VOXELS + [4] * (MIN_VOXELS - 1))
    assert shown_slices(z).tolist() == [3]


def test_strata_follow_displacement_then_contrast_then_gap():
    assert stratum_of(1.0, 2.0, 0.1) == "displaced"
    assert stratum_of(0.9, 3.9, 5.0) == "hard"
    assert stratum_of(0.0, 4.0, 5.0) == "faint"
    assert stratum_of(0.0, 9.0, 0.9) == "faint"
    assert stratum_of(0.0, 7.0, 1.0) == "clear"


def rendered(stratum_name, kind="lamina", vertebra="C5", seed=5):
    rng = np.random.default_rng(seed)
    anatomy = sample_anatomy(rng)
    mix = VARIED.fractures
    stratum = next(s for s in mix.strata if s.name == stratum_name)
    fracture = mixed_fracture(
        vertebra, kind, rng, mix, size=anatomy.shapes[vertebra].size, scale=anatomy.scale,
        stratum=stratum,
    )  # fmt: skip
    x, y, z = (float(v) for v in anatomy.poses[vertebra].origin)
    grid = Grid(40, 128, 0.6, 1.0, (x - 38, y - 26, z + 20))
    scanner = Scanner(Kernel("SYNTHETIC3", 0.4, 0.0, 15.0))
    return fracture, render_study(
        anatomy, (fracture,), rng, grid=grid, scanner=scanner, recipe=VARIED
    )


@pytest.mark.parametrize("stratum", ["displaced", "clear", "faint", "hard"])
def test_every_boxed_slice_holds_voxels_of_its_fracture_and_none_is_left_out(stratum):
    fracture, study = rendered(stratum)
    label = MASK_LABELS[fracture.vertebra]
    assert [v.vertebra for v in study.visibility] == ["C5"]
    for i, (x0, y0, x1, y1) in study.boxes():
        assert np.count_nonzero(study.clefts[i, y0:y1, x0:x1] == label) >= MIN_VOXELS
    assert len(study.boxes()) == study.visibility[0].slices


def test_a_hard_fracture_is_a_narrow_line_without_displacement_at_its_ratio():
    fracture, study = rendered("hard")
    low, high = 2.0, 4.0
    assert fracture.displacement_mm == 0
    assert all(0.2 <= b.gap_mm <= 0.5 for b in fracture.breaks)
    assert low - 0.01 <= fracture.cnr <= high
    assert study.visibility[0].cnr <= fracture.cnr + 1e-4
    assert study.visibility[0].stratum == "hard"


def test_a_fracture_that_the_scan_cannot_show_is_neither_marked_nor_labelled():
    rng = np.random.default_rng(5)
    anatomy = sample_anatomy(rng)
    fracture = mixed_fracture("C5", "lamina", rng, VARIED.fractures)
    x, y, z = (float(v) for v in anatomy.poses["C1"].origin)
    far = Grid(4, 48, 1.0, 1.0, (x - 24, y - 24, z + 40))
    scanner = Scanner(Kernel("SYNTHETIC3", 0.4, 0.0, 15.0))
    study = render_study(anatomy, (fracture,), rng, grid=far, scanner=scanner, recipe=VARIED)
    assert study.labels == (0,) * 7
    assert not study.clefts.any()
    assert study.fractures == study.visibility == ()


def test_strata_are_drawn_with_their_shares_and_hard_ones_partly_end_in_the_bone():
    rng = np.random.default_rng(0)
    drawn = [mixed_fracture("C5", "burst", rng, VARIED.fractures) for _ in range(600)]
    for stratum in VARIED.fractures.strata:
        gap = stratum.gap_mm
        cnr = stratum.cnr
        found = [
            f
            for f in drawn
            if (f.cnr is None) == (cnr is None) and (cnr is None or cnr.low <= f.cnr <= cnr.high)
        ]
        assert len(found) / len(drawn) == pytest.approx(stratum.share, abs=0.06)
        assert all(gap.low <= b.gap_mm <= gap.high for f in found for b in f.breaks)
    displaced = [f for f in drawn if f.displacement_mm > 0]
    assert all(f.cnr is None for f in displaced)
    losses = [f.collapse.depth_mm for f in displaced if f.collapse]
    assert max(losses) > 5
    slips = [f.slip_mm for f in displaced if f.slip_mm]
    assert len(slips) / len(displaced) == pytest.approx(VARIED.fractures.dislocation, abs=0.07)
    assert all(kind in dict(KINDS["C5"]) for kind in {f.kind for f in drawn})
