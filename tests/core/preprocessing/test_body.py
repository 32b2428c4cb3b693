from __future__ import annotations

import numpy as np
import pytest

from core.dicom.series import read_series
from core.preprocessing.body import body_box
from core.types import CTVolume


def volume(hu, spacing=(3.0, 1.0, 1.0)) -> CTVolume:
    n = len(hu)
    return CTVolume(
        np.asarray(hu, np.int16), spacing, np.eye(4), -3.0 * np.arange(n), (0,) * n, (), "1", "2"
    )


def test_the_body_is_found_without_specks():
    hu = np.full((30, 200, 160), -1000, np.int16)
    hu[:, 60:140, 40:120] = 40
    hu[3, 176:184, 148:156] = 2000
    left, top, right, bottom = body_box(volume(hu))
    assert (left, right) == (pytest.approx(40, abs=8), pytest.approx(120, abs=8))
    assert (top, bottom) == (pytest.approx(60, abs=8), pytest.approx(140, abs=8))
    assert left <= 40 < 120 <= right
    assert top <= 60 < 140 <= bottom
    assert body_box(volume(np.full((3, 20, 30), -1000, np.int16))) == (0, 0, 30, 20)


@pytest.mark.parametrize("pixel", [0.5, 1.3])
def test_the_table_is_not_the_body_whether_shell_or_board(pixel):
    """A head of 160 mm above a curved shell and a board as wide as the field."""
    size = round(300 / pixel)
    y, x = np.indices((size, size)) * pixel
    hu = np.full((8, size, size), -1000, np.int16)
    hu[:, np.hypot(y - 110, x - 150) < 80] = 40
    hu[:, np.abs(np.hypot(y + 60, x - 150) - 290) < 3] = 300
    hu[:, (y > 250) & (y < 275)] = 100
    left, top, right, bottom = np.array(body_box(volume(hu, (3.0, pixel, pixel)))) * pixel
    assert (left, right) == (pytest.approx(70, abs=12), pytest.approx(230, abs=12))
    assert (top, bottom) == (pytest.approx(30, abs=12), pytest.approx(190, abs=12))


@pytest.mark.parametrize(
    ("scan", "body"),
    [
        # Left, top, right, bottom in mm from the field's corner, by eye: head and shoulders.
        ("alderson_cspine", (158, 230, 540, 470)),
        ("visible_human_male", (98, 148, 455, 370)),
    ],
)
def test_the_body_of_a_real_scan_is_found_without_its_table(real_ct, scan, body):
    read = read_series(real_ct.parent / scan)
    left, top, right, bottom = body_box(read)
    _, row_mm, column_mm = read.spacing_mm
    found = np.array([left * column_mm, top * row_mm, right * column_mm, bottom * row_mm])
    assert found == pytest.approx(body, abs=25)
