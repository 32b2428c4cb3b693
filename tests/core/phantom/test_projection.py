"""The projector gives line integrals, and back projection undoes it."""

import numpy as np
import pytest

from core.phantom.projection import projector

SIZE, ANGLES, PIXEL = 64, 48, 2.0


def ellipse(ru, ra, size=SIZE):
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * PIXEL
    return ((x / ru) ** 2 + (y / ra) ** 2 < 1).astype(np.float32)[None]


def test_line_integrals_of_an_ellipse_are_its_chords():
    rays = projector(SIZE, ANGLES).project(ellipse(40, 20), PIXEL)
    assert rays.shape == (1, ANGLES, SIZE)
    middle = rays[0, :, SIZE // 2 - 1 : SIZE // 2 + 1].mean(axis=1)
    assert middle[0] == pytest.approx(40, abs=3)
    assert middle[ANGLES // 2] == pytest.approx(80, abs=3)


def test_every_view_holds_the_whole_object():
    image = ellipse(30, 25)
    rays = projector(SIZE, ANGLES).project(image, PIXEL)
    assert rays.sum(axis=2) == pytest.approx(image.sum() * PIXEL, rel=1e-3)


def test_filtered_back_projection_undoes_projection():
    image = ellipse(40, 24)
    tools = projector(SIZE, ANGLES)
    again = tools.reconstruct(tools.project(image, PIXEL), PIXEL)
    inside, outside = ellipse(34, 18) > 0, ellipse(46, 30) == 0
    assert again[inside].mean() == pytest.approx(1, abs=0.04)
    assert abs(again[outside].mean()) < 0.03


def test_back_projection_is_the_adjoint_of_projection():
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, SIZE, SIZE), dtype=np.float32)
    rays = rng.standard_normal((1, ANGLES, SIZE), dtype=np.float32)
    tools = projector(SIZE, ANGLES)
    there = float((tools.project(image, 1.0) * rays).sum())
    back = float((image * tools.smear(rays)).sum()) * ANGLES
    assert there == pytest.approx(back, rel=1e-3)


def test_slices_do_not_mix():
    two = np.concatenate([ellipse(40, 24), np.zeros((1, SIZE, SIZE), np.float32)])
    rays = projector(SIZE, ANGLES).project(two, PIXEL)
    assert rays[0].max() > 0
    assert (rays[1] == 0).all()
