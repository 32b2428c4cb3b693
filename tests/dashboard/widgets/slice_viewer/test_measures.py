"""Lengths, angles, statistics and slabs of the viewer against numpy, where spacing is unequal."""

from __future__ import annotations

import numpy as np
import pytest

from core.prepared.planes import planes_grid
from core.types import CTVolume
from tests.dashboard.widgets.slice_viewer.javascript import run_script

Z_MM = np.array([50.0, 47.0, 45.5, 41.0, 40.2, 35.0, 33.0])
"""Unevenly spaced slices."""
SPACING = (3.0, 0.7, 1.3)


@pytest.fixture(scope="module")
def volume():
    hu = np.random.default_rng(3).integers(-1024, 3072, (7, 40, 30)).astype(np.int16)
    affine = np.array([[0, 0, 1.3, -20], [0, 0.7, 0, -30], [-3, 0, 0, 50], [0, 0, 0, 1]], float)
    return CTVolume(hu, SPACING, affine, Z_MM, (0,) * 7, (), "1.2", "1.3")


def described(volume):
    grid = planes_grid(volume)
    return {
        "shape": list(volume.hu.shape),
        "spacing": list(volume.spacing_mm),
        "zMm": volume.z_mm.tolist(),
        "affine": volume.affine.tolist(),
        "body": [0, 0, 30, 40],
        "letters": {"left": "R", "right": "L", "upper": "A", "lower": "P"},
        "planes": {"shape": list(grid.shape), "spacing": list(grid.spacing_mm), "top": grid.top_mm},
    }


def plane_of(volume, kind, index):
    return volume.hu.take(index, axis={"axial": 0, "coronal": 1, "sagittal": 2}[kind])


def centres(volume, kind):
    """Where rows and columns of a plane lie, in mm from its upper left edge, by numpy alone."""
    _, dy, dx = SPACING
    top = Z_MM[0] + (Z_MM[0] - Z_MM[1]) / 2
    heights = top - Z_MM
    down = {"axial": (np.arange(40) + 0.5) * dy}.get(kind, heights)
    across = (np.arange(40) + 0.5) * dy if kind == "sagittal" else (np.arange(30) + 0.5) * dx
    return down, across


STATS = """cases.map(([kind, shape, points, index]) => {
    const geometry = new Geometry(data);
    const { columnMm, rowMm } = geometry.centres(kind);
    const values = Int16Array.from(planes[kind]);
    return regionStats(shape, points, values, columnMm, rowMm);
})"""


@pytest.mark.parametrize("shape", ["ellipse", "rectangle"])
def test_statistics_equal_numpy_on_planes_with_unequal_spacing(volume, shape):
    corners = {
        "axial": [[31.2, 3.1], [8.4, 20.9]],
        "sagittal": [[2.0, 1.0], [22.5, 14.2]],
        "coronal": [[5.1, 17.4], [33.3, 2.2]],
    }
    at = {"axial": 2, "sagittal": 11, "coronal": 25}
    planes = {kind: plane_of(volume, kind, at[kind]) for kind in corners}
    found = run_script(
        ("windowing", "measures", "geometry"), STATS, data=described(volume),
        planes={kind: plane.ravel().tolist() for kind, plane in planes.items()},
        cases=[[kind, shape, points, at[kind]] for kind, points in corners.items()],
    )  # fmt: skip
    for (kind, points), stats in zip(corners.items(), found, strict=True):
        down, across = centres(volume, kind)
        (left, right), (top, bottom) = sorted(p[0] for p in points), sorted(p[1] for p in points)
        inside = ((across >= left) & (across <= right))[None] & ((down >= top) & (down <= bottom))[
            :, None
        ]
        if shape == "ellipse":
            x = (across - (left + right) / 2) / ((right - left) / 2)
            y = (down - (top + bottom) / 2) / ((bottom - top) / 2)
            inside = x[None] ** 2 + y[:, None] ** 2 <= 1
        voxels = planes[kind][inside].astype(float)
        assert len(voxels) > 20
        assert stats["count"] == len(voxels), kind
        assert stats["mean"] == pytest.approx(voxels.mean(), abs=1e-9)
        assert stats["sd"] == pytest.approx(voxels.std(), abs=1e-6)
        assert (stats["min"], stats["max"]) == (voxels.min(), voxels.max())


def test_a_region_between_the_centres_has_no_statistics(volume):
    found = run_script(
        ("windowing", "measures"),
        'regionStats("rectangle", [[0, 0], [.1, .1]], new Int16Array(4), [.5, 1.5], [.5, 1.5])',
    )
    assert found is None


def test_lengths_angles_and_areas_are_those_of_the_millimetres():
    a, b, c, d = [3.0, 4.0], [10.5, -2.0], [8.0, 9.0], [-1.0, 2.5]
    length, angle, cobb, area, oval = run_script(
        ("measures",),
        "[lengthMm([a, b]), angleDeg([a, b, c]), cobbDeg([a, b, c, d]),"
        ' areaMm2("rectangle", [a, b]), areaMm2("ellipse", [a, b])]',
        a=a, b=b, c=c, d=d,
    )  # fmt: skip
    one, other = np.subtract(a, b), np.subtract(c, b)
    between = np.degrees(np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
    first, second = np.subtract(b, a), np.subtract(d, c)
    lines = abs(first @ second) / np.linalg.norm(first) / np.linalg.norm(second)
    assert length == pytest.approx(np.hypot(7.5, 6.0))
    assert angle == pytest.approx(between)
    assert cobb == pytest.approx(np.degrees(np.arccos(lines)))
    assert area == pytest.approx(7.5 * 6)
    assert oval == pytest.approx(np.pi * 3.75 * 3)


PLACES = """cases.map(([kind, point]) => {
    const geometry = new Geometry(data);
    const [z, y, x] = point;
    const mm = geometry.toMm(kind, point);
    return [mm, geometry.fromMm(kind, mm, { z, y, x })];
})"""


def test_places_on_planes_are_heights_of_uneven_slices_and_come_back(volume):
    points = [[2.4, 10.0, 7.5], [0.0, 39.4, 0.0], [6.0, 0.0, 29.0], [-0.4, 5.0, 5.0]]
    cases = [[kind, point] for kind in ("sagittal", "coronal") for point in points]
    found = run_script(("measures", "geometry"), PLACES, data=described(volume), cases=cases)
    top = Z_MM[0] + 1.5
    steps = np.concatenate([[Z_MM[0] + 3.0], Z_MM])  # beyond the first slice by its distance
    for (kind, (z, y, x)), (mm, back) in zip(cases, found, strict=True):
        height = np.interp(z, np.arange(-1, 7), steps)
        across = (y + 0.5) * 0.7 if kind == "sagittal" else (x + 0.5) * 1.3
        assert mm == pytest.approx([across, top - height])
        assert back == pytest.approx([z, y, x])


SLAB = """modes.map((mode) => {
    const indices = slabIndices(zMm, middle, mm);
    return [indices, [...combine(mode, indices.map((i) => Int16Array.from(slices[i])))]];
})"""


@pytest.mark.parametrize("mm", [1, 6, 10.4, 100])
def test_slabs_equal_numpy_over_slices_of_uneven_spacing(volume, mm):
    found = run_script(
        ("windowing", "measures"), SLAB, modes=["mip", "minip", "mean"], zMm=Z_MM.tolist(),
        middle=2, mm=mm, slices=[one.ravel().tolist() for one in volume.hu],
    )  # fmt: skip
    near = np.flatnonzero(np.abs(Z_MM - Z_MM[2]) <= mm / 2)
    stack = volume.hu[near].astype(float)
    expected = stack.max(0), stack.min(0), np.rint(stack.mean(0))
    for (indices, values), wanted in zip(found, expected, strict=True):
        assert indices == near.tolist()
        np.testing.assert_array_equal(np.reshape(values, (40, 30)), wanted)


def test_an_inverted_window_is_the_other_end_of_each_grey():
    plain, inverted = run_script(
        ("windowing",),
        "[false, true].map((on) => [-600, 0, 400, 900].map("
        "(hu) => greyTable(400, 1800, on)[hu & 0xffff] & 255))",
    )
    assert [255 - grey for grey in plain] == inverted
