import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import SlicePreparation
from core.dataset.masks import load_vertebra_mask
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.phantom.cohort import write_cohort
from core.preprocessing.network_input import slices_for_network
from core.preprocessing.spine_field import BEHIND_MM, SpineField, find_spine_field


def _neck(path_yx, spacing=(2.0, 1.0, 1.0), shape=(120, 120)):
    """Soft tissue with a ball of bone of 14 mm in each slice, at the path's place."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    hu = np.full((len(path_yx), *shape), 40, np.int16)
    for one, (y, x) in zip(hu, path_yx, strict=True):
        far = np.hypot((rows - y) * spacing[1], (columns - x) * spacing[2])
        one[far < 14] = 500
    return hu


def test_follows_a_bent_spine_within_a_few_millimetres():
    z = np.arange(60)
    path = np.stack([60 + 12 * np.sin(z / 15), 58 + 4 * np.cos(z / 20)], axis=1)
    field = find_spine_field(_neck(path), (2.0, 1.0, 1.0), 90.0)
    expected = path + np.array([BEHIND_MM, 0])
    assert np.abs(field.centers_px - expected).max() < 5.0


def test_a_denser_bone_in_some_slices_does_not_draw_it_off():
    path = np.tile([70.0, 60.0], (60, 1))
    hu = _neck(path)
    # More bone than the vertebra, in a fifth of the slices, 45 mm in front.
    hu[20:32, 10:30, 35:85] = 900
    field = find_spine_field(hu, (2.0, 1.0, 1.0), 90.0)
    assert np.abs(field.centers_px - (70 + BEHIND_MM, 60)).max() < 6.0


@pytest.mark.parametrize("step_z", [30.0, 400.0, 1e9])
def test_slices_far_apart_need_no_more_memory_than_a_few_maps(step_z):
    path = np.array([[60.0, 60.0], [62.0, 60.0], [60.0, 61.0]])
    hu = _neck(path)
    find_spine_field(hu, (2.0, 1.0, 1.0), 60.0)
    tracemalloc.start()
    field = find_spine_field(hu, (step_z, 1.0, 1.0), 60.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
    assert np.abs(field.centers_px - path - (BEHIND_MM, 0)).max() < 6.0


def test_one_slice_and_a_slice_without_bone_have_a_place():
    for hu in (_neck(np.array([[60.0, 60.0]])), np.full((1, 50, 50), -1000, np.int16)):
        field = find_spine_field(hu, (2.0, 1.0, 1.0), 60.0)
        assert np.isfinite(field.centers_px).all()
        assert field.centers_px.shape == (1, 2)


@given(
    y=st.floats(-40, 90), x=st.floats(-40, 90), side=st.floats(20, 120),
    step=st.tuples(st.floats(0.3, 2.0), st.floats(0.3, 2.0)),
)  # fmt: skip
def test_a_cut_is_the_image_where_it_lies_inside_and_air_elsewhere(y, x, side, step):
    hu = np.arange(50 * 40, dtype=np.int16).reshape(50, 40)
    field = SpineField(np.array([[y, x]]), step, side)
    left, top, right, bottom = field.box_xyxy(0)
    cut = field.cut(hu, 0)
    padded = np.full((700, 700), -1024, np.int16)
    padded[300:350, 300:340] = hu
    expected = padded[300 + top : 300 + bottom, 300 + left : 300 + right]
    np.testing.assert_array_equal(cut, expected)
    assert abs((right - left) * step[1] - side) <= step[1]
    assert abs((bottom - top) * step[0] - side) <= step[0]


def test_network_input_is_the_cut_windowed_and_resized():
    hu = np.random.default_rng(0).integers(-1000, 1500, (3, 64, 64)).astype(np.int16)
    field = SpineField(np.array([[30.0, 32.0], [34.0, 30.0], [2.0, 2.0]]), (1.0, 1.0), 40.0)
    made = slices_for_network(hu, SlicePreparation(size=40, field_mm=40), field)
    left, top, right, bottom = field.box_xyxy(0)
    assert (right - left, bottom - top) == (40, 40)
    assert (left, top) in {(12, 10), (13, 11), (12, 11), (13, 10)}
    shifted = slices_for_network(
        np.ascontiguousarray(hu[:1, top:bottom, left:right]), SlicePreparation(size=40)
    )
    np.testing.assert_array_equal(made[:1], shifted)
    assert made.shape == (3, 40, 40)
    np.testing.assert_array_equal(field[1:2].centers_px, field.centers_px[1:2])


def test_errors_describe_what_is_wrong():
    with pytest.raises(ValueError, match="shape"):
        find_spine_field(np.zeros((0, 4, 4), np.int16), (1.0, 1.0, 1.0), 90.0)
    with pytest.raises(ValueError, match="no size"):
        find_spine_field(np.zeros((1, 4, 4), np.int16), (1.0, 0.0, 1.0), 90.0)
    with pytest.raises(ValueError, match="as many places"):
        slices_for_network(
            np.zeros((2, 8, 8), np.int16), SlicePreparation(size=32, field_mm=40),
            SpineField(np.zeros((1, 2)), (1.0, 1.0), 40.0),
        )  # fmt: skip


@pytest.mark.slow
def test_holds_the_vertebrae_of_a_whole_neck(tmp_path):
    write_cohort(tmp_path, studies=1, seed=3, jobs=1)
    record = read_studies(tmp_path)[0]
    volume = read_series(record.folder, jobs=1)
    mask = load_vertebra_mask(record.mask_file, volume)
    field = find_spine_field(volume.hu, volume.spacing_mm, 96.0)
    inside = 0
    for index, labels in enumerate(mask):
        left, top, right, bottom = field.box_xyxy(index)
        rows, columns = np.nonzero((labels >= 1) & (labels <= 7))
        within = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        inside += int(within.sum())
    assert inside / np.isin(mask, range(1, 8)).sum() > 0.99


def test_follows_the_spine_of_a_real_scanner_series(real_ct):
    volume = read_series(real_ct, jobs=1)
    field = find_spine_field(volume.hu, volume.spacing_mm, 90.0)
    area = 90.0**2 / np.prod(np.multiply(volume.hu.shape[1:], volume.spacing_mm[1:]))
    for index in range(51):
        bone = volume.hu[index] > 250
        share = (field.cut(volume.hu[index], index) > 250).sum() / bone.sum()
        # Below the jaw the spine is most of what is bone.
        assert share > (0.5 if index > 32 else 10 * area)
