"""The rules behind the flags, at and around their thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dataset import quality
from tests.core.dicom.dicom_factory import SYNTAXES


def heights(*steps: float) -> np.ndarray:
    return 100.0 - np.cumsum([0.0, *steps])


@pytest.mark.parametrize(
    ("z_mm", "expected"),
    [
        (heights(), (False, False)),
        (heights(2.0), (False, False)),
        (heights(2, 2, 2, 2), (False, False)),
        (heights(2, 2, 3.5, 2), (False, True)),
        (heights(2, 2, 3.7, 2), (True, False)),
        (heights(2, 4, 2, 2), (True, False)),
        (heights(2, 2, 6, 2, 2.4), (True, True)),
        (heights(2, 2, 2.19, 2), (False, False)),
        (heights(2, 2, 2.3, 2), (False, True)),
        (heights(*[1.0] * 20, *[3.0] * 15), (False, True)),
        (heights(*[1.0] * 30, 2.0, 2.0, 2.0, 1.0), (True, False)),
        # Written with two decimals, 0.3125 mm apart: steps of 0.31 and 0.32.
        (np.round(100 - 0.3125 * np.arange(40), 2), (False, False)),
    ],
)
def test_a_wide_step_is_a_gap_and_other_deviations_are_uneven(z_mm, expected):
    assert quality.gap_and_uneven(z_mm) == expected
    assert quality.gap_and_uneven(z_mm[::-1]) == expected


@given(n=st.integers(5, 40), step=st.floats(0.3, 5), missing=st.integers(1, 38))
def test_one_missing_slice_is_a_gap_and_nothing_else(n, step, missing):
    z_mm = 50 - step * np.delete(np.arange(n), min(missing, n - 2))
    assert quality.gap_and_uneven(z_mm) == (True, False)


@given(st.permutations(range(1, 12)))
def test_turning_the_numbers_round_turns_the_verdict(numbers):
    falls = quality.is_reversed(numbers)
    rises = quality.is_reversed(numbers[::-1])
    assert not (falls and rises)
    assert falls == (np.sign(np.diff(numbers)).sum() < 0)


def test_numbers_that_fall_from_head_to_feet_are_reversed():
    assert quality.is_reversed([9, 8, 7])
    assert not quality.is_reversed([59, 60, 61])
    assert not quality.is_reversed([5])
    assert not quality.is_reversed([0, 0, 0])


def test_a_hole_is_a_number_that_no_file_bears():
    assert not quality.has_hole([])
    assert not quality.has_hole([59, 60, 61])
    assert quality.has_hole([1, 2, 4])
    assert not quality.has_hole([1, 2, 4], [3])
    assert quality.has_hole([1, 2_000_000_000])


def test_the_usual_size_is_the_most_frequent_and_of_equals_the_smallest():
    assert quality.usual_size([]) is None
    assert quality.usual_size([(512, 512), (768, 768), (768, 768)]) == (768, 768)
    assert quality.usual_size([(768, 768), (512, 512)]) == (512, 512)


def test_an_odd_size_is_not_square_or_not_the_usual_one():
    assert not quality.is_odd_size((256, 256), (256, 256))
    assert quality.is_odd_size((288, 288), (256, 256))
    assert quality.is_odd_size((512, 519), (512, 519))
    assert not quality.is_odd_size((64, 64), None)


def test_coverage_below_sixty_millimetres_is_short():
    assert quality.is_short(48.0)
    assert not quality.is_short(60.0)


def test_only_plain_pixels_are_not_compressed():
    plain = {name for name, uid in SYNTAXES.items() if not quality.is_compressed(uid)}
    assert plain == {"implicit", "explicit", "big-endian"}


def test_every_flag_has_its_own_column_and_one_sentence():
    assert len({flag.column for flag in quality.FLAGS}) == len(quality.FLAGS) == 11
    for flag in quality.FLAGS:
        assert flag.column.startswith("flag_")
        assert flag.meaning.endswith(".")
        assert flag.meaning.count(". ") == 0
