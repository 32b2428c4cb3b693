"""Quirks are planned by study number alone, at the real set's rates, under the index's names."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from core.dataset.quality import FLAG_COLUMNS, gap_and_uneven, has_hole, is_reversed, is_short
from core.phantom.grid import Grid
from core.phantom.quirks import CLEAN, RATES, Quirks, adapt_grid, number_files, plan_quirks

GRID = Grid(100, 64, 3.0, 2.0, (-96.0, -110.0, 90.0))


def plan(*flags, first=1, seed=7):
    return Quirks(flags, first_number=first, seed=seed)


def test_the_names_are_those_of_the_index():
    assert {f"flag_{name}" for name in RATES} == set(FLAG_COLUMNS)


@pytest.mark.parametrize("seed", [0, 5, 123])
def test_the_first_twelve_studies_show_every_quirk(seed):
    plans = [plan_quirks(seed, k) for k in range(12)]
    assert {flag for p in plans for flag in p.flags} == set(RATES)
    assert plans[0].flags == ()
    assert plans[0].has_mask
    assert [p.has_mask for p in plans].count(True) == 1
    assert {p.first_number for p in plans} == {1, 2, 59}


def test_a_plan_depends_on_nothing_but_seed_and_number():
    assert plan_quirks(4, 700) == plan_quirks(4, 700)
    assert {plan_quirks(s, 3).flags for s in range(12)} != {plan_quirks(0, 3).flags}


def test_rates_follow_the_real_set():
    plans = [plan_quirks(1, k) for k in range(12, 3012)]
    share = Counter(flag for p in plans for flag in p.flags)
    assert share["reversed_numbering"] / 3000 == pytest.approx(0.10, abs=0.02)
    assert share["duplicate_positions"] / 3000 < 0.02
    assert np.mean([p.has_mask for p in plans]) == pytest.approx(87 / 2019, abs=0.01)
    assert 0 < sum(p.first_number > 1 for p in plans) < 60


def test_studies_with_masks_have_an_even_upright_grid():
    masked = [p for p in (plan_quirks(2, k) for k in range(3000)) if p.has_mask]
    assert {flag for p in masked for flag in p.flags} <= {"reversed_numbering", "compressed"}


def test_plain_numbering_starts_at_one_with_the_most_cranial_slice():
    numbering = number_files(4, CLEAN)
    assert numbering.files == ((1, 0), (2, 1), (3, 2), (4, 3))
    assert numbering.of_slice == {0: 1, 1: 2, 2: 3, 3: 4}


def test_reversed_numbering_starts_at_the_feet_with_the_given_number():
    numbering = number_files(3, plan("reversed_numbering", first=59))
    assert numbering.files == ((59, 2), (60, 1), (61, 0))
    numbers = [numbering.of_slice[i] for i in range(3)]
    assert is_reversed(numbers)


def test_a_double_stack_repeats_every_slice_and_boxes_go_with_the_first():
    numbering = number_files(5, plan("duplicate_positions"))
    assert Counter(i for _, i in numbering.files) == {i: 2 for i in range(5)}
    assert numbering.of_slice == {i: i + 1 for i in range(5)}
    assert len({n for n, _ in numbering.files}) == 10


@pytest.mark.parametrize("seed", range(8))
def test_a_gap_is_numbered_through_and_missing_files_leave_a_hole(seed):
    gap = number_files(60, plan("gap", seed=seed))
    lost = number_files(60, plan("gap", "missing_files", seed=seed))
    for numbering, hole in ((gap, False), (lost, True)):
        numbers = [n for n, _ in numbering.files]
        assert has_hole(numbers) == hole
        z = np.array([-2.0 * i for _, i in numbering.files])
        assert gap_and_uneven(z) == (True, False)
    assert 3 <= 60 - len(gap.files) <= 5


@pytest.mark.parametrize("seed", range(8))
def test_uneven_spacing_is_neither_even_nor_a_gap(seed):
    z = adapt_grid(GRID, plan("uneven_spacing", seed=seed)).z().astype(float)
    assert gap_and_uneven(z) == (False, True)


def test_a_short_study_covers_48_mm():
    grid = adapt_grid(GRID, plan("short_coverage"))
    coverage = (grid.n_slices - 1) * grid.slice_mm
    assert coverage == pytest.approx(48, abs=1)
    assert is_short(coverage)


def test_an_odd_size_is_larger_or_not_square():
    grids = [adapt_grid(GRID, plan("odd_size", seed=s)) for s in range(20)]
    assert {(g.matrix, g.columns) for g in grids} == {(96, 0), (64, 65)}
    assert all(g.matrix * g.pixel_mm == pytest.approx(192) for g in grids)


def test_a_tilted_gantry_exceeds_the_tolerance_of_read_series():
    for seed in range(8):
        assert abs(adapt_grid(GRID, plan("gantry_tilt", seed=seed)).tilt_deg) >= 6


def test_a_clean_study_keeps_its_grid():
    assert adapt_grid(GRID, CLEAN) is GRID
    assert adapt_grid(GRID, plan("compressed", "reversed_numbering")) is GRID


def test_details_repeat():
    quirks = plan("gap", seed=3)
    assert number_files(60, quirks) == number_files(60, replace(quirks))
