"""Masks stored in any orientation land on the volume's grid."""

from __future__ import annotations

import gzip
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from core.dataset import masks
from core.dataset.masks import load_vertebra_mask, presence_from_mask
from core.dicom.series import read_series
from core.dicom.series_grid import series_grid
from core.errors import DataRootError
from core.types import CTVolume
from tests.core.dicom.dicom_factory import made_hu, write_ct_series

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def volume_at(folder: Path, **options) -> CTVolume:
    write_ct_series(folder, made_hu(6, 5, 4), **options)
    return read_series(folder)


def labels_for(volume: CTVolume) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 20, volume.hu.shape, dtype=np.uint8)


def store(path: Path, labels: np.ndarray, volume: CTVolume, order, flips, dtype=np.uint8) -> Path:
    """Save `labels` (z, y, x) with its axes permuted and flipped, and the affine that says so."""
    index = np.zeros((4, 4))
    index[3, 3] = 1
    stored = labels.transpose(order)
    for axis, (source, flip) in enumerate(zip(order, flips, strict=True)):
        index[source, axis] = -1 if flip else 1
        index[source, 3] = labels.shape[source] - 1 if flip else 0
        stored = np.flip(stored, axis) if flip else stored
    image = nib.Nifti1Image(stored.astype(dtype), TO_RAS @ volume.affine @ index)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_every_axis_order_and_flip_is_undone_exactly(tmp_path, monkeypatch, order, flips):
    monkeypatch.setattr(masks, "_pick_nearest", lambda *_: pytest.fail("was not exact"))
    volume = volume_at(tmp_path / "series")
    labels = labels_for(volume)
    path = store(tmp_path / "mask.nii", labels, volume, order, flips)
    mask = load_vertebra_mask(path, volume)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, labels)


def test_a_sagittal_mask_written_by_hand_is_placed_by_its_ras_affine(tmp_path):
    # 1 mm voxels; the volume's first pixel is at LPS (0, 0, 0), RAS (0, 0, 0).
    write_ct_series(
        tmp_path / "s",
        made_hu(3, 4, 5).clip(300),
        spacing_mm=(1, 1, 1),
        z_first_mm=0,
        origin_xy_mm=(0, 0),
    )
    volume = read_series(tmp_path / "s")
    # i runs to the back, j to the feet, k to the right: the order of a sagittal scan.
    affine = np.array([[0, 0, 1, -4], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float)
    stored = np.zeros((4, 3, 5), np.uint8)
    stored[3, 2, 0] = 7
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "m.nii.gz")
    mask = load_vertebra_mask(tmp_path / "m.nii.gz", volume)
    # LPS of that voxel: x = 4, y = 3, z = -2.
    assert np.argwhere(mask).tolist() == [[2, 3, 4]]
    assert mask[2, 3, 4] == 7


@pytest.mark.parametrize("ascending", [False, True])
def test_axial_masks_in_either_direction(tmp_path, ascending):
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    path = store(tmp_path / "m.nii", labels, volume, (2, 1, 0), (True, False, ascending))
    np.testing.assert_array_equal(load_vertebra_mask(path, volume), labels)


def test_an_oblique_volume_with_a_mask_on_its_grid_is_exact(tmp_path):
    c, s = np.cos(0.4), np.sin(0.4)
    volume = volume_at(tmp_path / "s", orientation=(1, 0, 0, 0, c, -s))
    labels = labels_for(volume)
    path = store(tmp_path / "m.nii", labels, volume, (1, 2, 0), (True, False, True))
    np.testing.assert_array_equal(load_vertebra_mask(path, volume), labels)


def test_a_mask_oblique_to_the_volume_is_sampled_at_the_nearest_voxel(tmp_path):
    volume = volume_at(tmp_path / "s", spacing_mm=(1.0, 1.0, 1.0))
    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[c, -s, 0, 40.0], [s, c, 0, 20.0], [0, 0, 1, 90.0], [0, 0, 0, 1]])
    stored = np.random.default_rng(2).integers(0, 20, (30, 40, 20), dtype=np.uint8)
    # Most labels of a mask lie in its scan.
    i, j, k = np.indices(stored.shape)
    place = np.einsum("rc,c...->r...", turn[:3, :3], np.array([i, j, k])) + turn[:3, 3:, None, None]
    lps = np.diag(TO_RAS)[:3, None, None, None] * place
    index = np.linalg.inv(volume.affine)
    at = np.einsum("rc,c...->r...", index[:3, :3], lps) + index[:3, 3:, None, None]
    stored[((at < -1) | (at > np.array(volume.hu.shape)[:, None, None, None])).any(axis=0)] = 0
    nib.save(nib.Nifti1Image(stored, turn), tmp_path / "m.nii")
    mask = load_vertebra_mask(tmp_path / "m.nii", volume)
    affine = nib.load(tmp_path / "m.nii").affine
    hit = 0
    for z, y, x in np.ndindex(volume.hu.shape):
        ras = TO_RAS @ volume.affine @ (z, y, x, 1)
        i, j, k = np.rint(np.linalg.solve(affine, ras)[:3]).astype(int)
        inside = 0 <= i < 30 and 0 <= j < 40 and 0 <= k < 20
        assert mask[z, y, x] == (stored[i, j, k] if inside else 0)
        hit += inside
    assert hit > 50


def test_uneven_slices_take_the_mask_at_their_own_position(tmp_path):
    z_mm = [20.0, 18.0, 16.0, 10.0, 8.0, 6.0]
    volume = volume_at(tmp_path / "s", z_mm=z_mm, spacing_mm=(2.0, 0.5, 0.75))
    # One mask slice every 2 mm from 20 down to 6; its label tells its position.
    stored = np.zeros((4, 5, 8), np.uint8) + np.arange(1, 9, dtype=np.uint8)
    affine = np.array([[0.75, 0, 0, -50], [0, 0.5, 0, -40], [0, 0, -2, 20], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(stored, TO_RAS @ affine), tmp_path / "m.nii")
    mask = load_vertebra_mask(tmp_path / "m.nii", volume)
    assert mask[:, 2, 2].tolist() == [1, 2, 3, 6, 7, 8]


def test_a_mask_that_covers_part_of_the_volume_leaves_the_rest_empty(tmp_path):
    volume = volume_at(tmp_path / "s")
    labels = np.full((2, 5, 4), 3, np.uint8)
    part = volume.affine.copy()
    part[:3, 3] = (volume.affine @ (2, 0, 0, 1))[:3]
    nib.save(nib.Nifti1Image(labels, TO_RAS @ part), tmp_path / "m.nii")
    mask = load_vertebra_mask(tmp_path / "m.nii", volume)
    assert [bool(plane.any()) for plane in mask] == [False, False, True, True, False, False]


def test_float_masks_with_whole_numbers_are_fine_and_others_are_not(tmp_path):
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    path = store(tmp_path / "m.nii", labels, volume, (0, 1, 2), (0, 0, 0), dtype=np.float32)
    np.testing.assert_array_equal(load_vertebra_mask(path, volume), labels)
    path = store(tmp_path / "m.nii", labels + 0.5, volume, (0, 1, 2), (0, 0, 0), np.float32)
    with pytest.raises(DataRootError, match=r"whole numbers|labels must be"):
        load_vertebra_mask(path, volume)


@pytest.mark.parametrize("label", [20, -1, np.nan])
def test_other_labels_are_refused(tmp_path, label):
    volume = volume_at(tmp_path / "s")
    labels = np.full(volume.hu.shape, label, np.float32)
    path = store(tmp_path / "m.nii", labels, volume, (0, 1, 2), (0, 0, 0), np.float32)
    with pytest.raises(DataRootError, match=r"labels must be 0\.\.19"):
        load_vertebra_mask(path, volume)


def turned(axis, degrees):
    """Rotation about an LPS axis, float64 (3, 3)."""
    a, b = (k for k in range(3) if k != axis)
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = np.cos(np.radians(degrees))
    turn[a, b], turn[b, a] = -np.sin(np.radians(degrees)), np.sin(np.radians(degrees))
    return turn


def lean(ds, k):
    """A gantry tilted by 15 degrees: each slice lies further within its plane."""
    x, y, z = (float(v) for v in ds.ImagePositionPatient)
    ds.ImagePositionPatient = [x, round(y + np.tan(np.radians(15)) * 2.0 * k, 6), z]


MASK_AXES = {
    "axial, ascending": np.diag([0.5, 0.5, 1.0]),
    "axial, descending": np.diag([0.5, 0.5, -1.0]),
    "axial, columns and rows reversed": np.diag([-0.5, -0.5, 1.0]),
    "sagittal": np.array([[0, 0, 0.5], [0.5, 0, 0], [0, -1.0, 0]]),
    "coronal": np.array([[-0.5, 0, 0], [0, 0, 0.5], [0, 1.0, 0]]),
    "oblique": turned(0, 20) @ turned(2, 35) @ np.diag([0.5, 0.5, 0.7]),
}
"""Columns: LPS mm per step of i, j and k."""

BACKWARDS = {"names": [f"{k}.dcm" for k in range(12, 0, -1)],
             "instance_numbers": range(12, 0, -1)}  # fmt: skip
SERIES = {
    "descending": {},
    "ascending": BACKWARDS,
    "oblique": {"orientation": (*turned(0, 25)[:, 0], *turned(0, 25)[:, 1])},
    "tilted gantry": {"edit": lean},
    "tilted gantry, ascending": {"edit": lean} | BACKWARDS,
    "uneven": {"z_mm": [22, 21, 20, 17, 16, 14, 13, 9, 8, 7, 6, 3]},
}


def lps_of_pixels(ds) -> np.ndarray:
    """LPS mm of every pixel from the tags alone (DICOM PS3.3 C.7.6.2.1.1), (3, rows, columns)."""
    row, column = np.reshape(np.array(ds.ImageOrientationPatient, float), (2, 3, 1, 1))
    r, c = np.mgrid[: ds.Rows, : ds.Columns]
    between_rows, between_columns = (float(v) for v in ds.PixelSpacing)
    first = np.array(ds.ImagePositionPatient, float).reshape(3, 1, 1)
    return first + row * (c * between_columns) + column * (r * between_rows)


def octant(lps, middle):
    """Labels 1..8 by the side of `middle` on each axis: no flip or swap leaves them alone."""
    return 1 + sum((lps[k] > middle[k]).astype(np.uint8) << k for k in range(3))


@pytest.fixture(scope="module", params=SERIES)
def series_of_octants(request, tmp_path_factory):
    """A series whose pixels show 100 HU times the octant in which they lie, and the middle."""
    files = write_ct_series(
        tmp_path_factory.mktemp("series"), made_hu(12, 24, 16), spacing_mm=(2.0, 1.0, 1.0),
        z_first_mm=22.0, origin_xy_mm=(-8.0, -10.0), **SERIES[request.param],
    )  # fmt: skip
    datasets = [pydicom.dcmread(file) for file in files]
    lps = [lps_of_pixels(ds) for ds in datasets]
    middle = np.mean(lps, axis=(0, 2, 3)) + 0.3
    for ds, file, points in zip(datasets, files, lps, strict=True):
        ds.PixelData = (octant(points, middle) * np.uint16(100) + np.uint16(1024)).tobytes()
        ds.save_as(file)
    return read_series(files[0].parent), middle


@pytest.mark.slow
@pytest.mark.parametrize("axes", MASK_AXES)
def test_labels_lie_on_the_anatomy_that_the_image_shows(tmp_path, series_of_octants, axes):
    volume, middle = series_of_octants
    step, size = MASK_AXES[axes], (90, 90, 90)
    to_lps = np.eye(4)
    to_lps[:3, :3] = step
    to_lps[:3, 3] = middle - step @ (np.array(size) - 1) / 2
    ijk = np.indices(size, np.float32).reshape(3, -1)
    lps = step @ ijk + to_lps[:3, 3:]
    labels = octant(lps, middle).reshape(size)
    # Labels reach past the scan, but most lie in it.
    place = np.linalg.solve(volume.affine[:3, :3], lps - volume.affine[:3, 3:])
    beyond = np.abs(place - (np.array(volume.hu.shape)[:, None] - 1) / 2)
    labels[(beyond > np.array(volume.hu.shape)[:, None] / 2 + 2).any(axis=0).reshape(size)] = 0
    nib.save(nib.Nifti1Image(labels, TO_RAS @ to_lps), tmp_path / "m.nii")
    mask = load_vertebra_mask(tmp_path / "m.nii", volume)
    # Beside a border the nearest voxel and the interpolated pixel may say different things.
    inner = (minimum_filter(volume.hu, 3) == maximum_filter(volume.hu, 3)) & (volume.hu > 0)
    assert inner.mean() > 0.25
    np.testing.assert_array_equal(mask[inner], volume.hu[inner] // 100)
    shown = [[bool((labels == j).any()) for j in range(1, 8)] for labels in mask]
    assert presence_from_mask(mask).tolist() == shown


def test_a_mask_that_does_not_say_where_it_lies_is_refused(tmp_path):
    volume = volume_at(tmp_path / "s")
    image = nib.Nifti1Image(labels_for(volume), TO_RAS @ volume.affine)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nib.save(image, tmp_path / "m.nii")
    with pytest.raises(DataRootError, match="neither qform nor sform"):
        load_vertebra_mask(tmp_path / "m.nii", volume)


def test_a_qform_alone_is_enough(tmp_path):
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    image = nib.Nifti1Image(labels.transpose(2, 1, 0), None)
    image.set_qform(TO_RAS @ volume.affine @ np.eye(4)[[2, 1, 0, 3]], 1)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "m.nii")
    np.testing.assert_array_equal(load_vertebra_mask(tmp_path / "m.nii", volume), labels)


def test_a_mask_that_lies_elsewhere_is_refused(tmp_path):
    volume = volume_at(tmp_path / "s")
    affine = TO_RAS @ volume.affine
    affine[0, 3] += 1000
    nib.save(nib.Nifti1Image(labels_for(volume), affine), tmp_path / "m.nii")
    with pytest.raises(DataRootError, match="outside the CT volume"):
        load_vertebra_mask(tmp_path / "m.nii", volume)


@pytest.mark.parametrize("content", [None, b"", b"not nifti" * 100])
def test_a_missing_or_damaged_file_is_a_typed_error(tmp_path, content):
    volume = volume_at(tmp_path / "s")
    path = tmp_path / "m.nii"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataRootError, match=r"m\.nii"):
        load_vertebra_mask(path, volume)


def test_a_truncated_mask_is_a_typed_error(tmp_path):
    volume = volume_at(tmp_path / "s")
    for name in ("m.nii", "m.nii.gz"):
        path = store(tmp_path / name, labels_for(volume), volume, (0, 1, 2), (0, 0, 0))
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DataRootError):
            load_vertebra_mask(path, volume)


def test_presence_counts_c1_to_c7_only():
    mask = np.zeros((4, 3, 3), np.uint8)
    mask[0, 0, 0] = 1
    mask[1, 1, 1], mask[1, 2, 2] = 7, 3
    mask[2] = 8
    presence = presence_from_mask(mask)
    assert presence.shape == (4, 7)
    assert np.argwhere(presence).tolist() == [[0, 0], [1, 2], [1, 6]]


def test_presence_of_no_slices_has_seven_columns():
    assert presence_from_mask(np.zeros((0, 3, 3), np.uint8)).shape == (0, 7)


def stored_mask(path, volume, labels=None, **forms):
    """Save labels on the volume's own grid, with sform and qform given as (affine, code)."""
    labels = np.ones(volume.hu.shape, np.uint8) if labels is None else labels
    image = nib.Nifti1Image(labels, None)
    for name, (affine, code) in forms.items():
        getattr(image, f"set_{name}")(affine, code)
    nib.save(image, path)
    return path


def shifted(affine, i=0.0, j=0.0, k=0.0):
    moved = affine.copy()
    moved[:3, 3] = (affine @ (i, j, k, 1))[:3]
    return moved


@pytest.mark.slow
@pytest.mark.parametrize("codes", [(1, 0), (2, 0), (4, 0), (0, 1), (0, 2), (2, 1), (1, 1)])
def test_the_forms_that_are_set_place_the_mask(tmp_path, codes):
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    right = TO_RAS @ volume.affine @ np.diag([1.0, 1.0, 1.0, 1.0])
    wrong = np.eye(4)
    forms = {
        name: (right if code else wrong, code)
        for name, code in zip(("sform", "qform"), codes, strict=True)
    }
    path = stored_mask(tmp_path / "m.nii", volume, labels, **forms)
    np.testing.assert_array_equal(load_vertebra_mask(path, volume), labels)


@pytest.mark.parametrize("template", ["sform", "qform"])
def test_a_form_in_a_templates_space_does_not_place_the_mask_on_a_scan(tmp_path, template):
    # nifti1.h: 1 scanner, 2 aligned; 3 Talairach and 4 MNI 152 are another head.
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    forms = {"sform": (TO_RAS @ volume.affine, 1), "qform": (TO_RAS @ volume.affine, 1)}
    forms[template] = (np.eye(4), 4)
    path = stored_mask(tmp_path / "m.nii", volume, labels, **forms)
    np.testing.assert_array_equal(load_vertebra_mask(path, volume), labels)


def test_an_identity_sform_against_a_right_qform_is_refused_with_both_figures(tmp_path):
    write_ct_series(
        tmp_path / "s", made_hu(20, 16, 16), spacing_mm=(1, 1, 1), z_first_mm=5,
        origin_xy_mm=(-8, -8),
    )  # fmt: skip
    volume = read_series(tmp_path / "s")
    path = stored_mask(
        tmp_path / "m.nii", volume, sform=(np.eye(4), 1), qform=(TO_RAS @ volume.affine, 1)
    )
    with pytest.raises(DataRootError, match="sform and qform disagree") as error:
        load_vertebra_mask(path, volume)
    # By hand: i, j, k as RAS mm lie where -8 <= -i, -j < 8 and -14 <= k <= 5, half a voxel wider.
    ijk = np.indices(volume.hu.shape).reshape(3, -1)
    inside = (ijk[0] <= 8.5) & (ijk[1] <= 8.5) & (ijk[2] <= 5.5)
    total = volume.hu.size
    assert f"of {total:,} labelled voxels, {inside.sum():,} by its sform, {total:,} by" in str(
        error.value
    )


def test_forms_that_differ_by_rounding_agree(tmp_path):
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    right = TO_RAS @ volume.affine
    path = stored_mask(
        tmp_path / "m.nii", volume, labels, sform=(shifted(right, 0.2), 1), qform=(right, 1)
    )
    np.testing.assert_array_equal(load_vertebra_mask(path, volume), labels)


@pytest.mark.parametrize(
    ("share", "taken"), [(0.5, True), (1 / 3, True), (1 / 6, False), (0, False)]
)
def test_a_mask_of_which_too_little_lies_in_the_scan_is_refused_with_the_figures(
    tmp_path, share, taken
):
    volume = volume_at(tmp_path / "s")
    total, inside = volume.hu.size, round(share * volume.hu.size)
    moved = shifted(TO_RAS @ volume.affine, (1 - share) * volume.n_slices)
    path = stored_mask(tmp_path / "m.nii", volume, sform=(moved, 1))
    if taken:
        assert load_vertebra_mask(path, volume).astype(bool).sum() == inside
        return
    with pytest.raises(
        DataRootError, match=rf"{inside} of {total} labelled voxels \({share:.1%}\)"
    ):
        load_vertebra_mask(path, volume)


def test_only_cervical_labels_decide_where_there_are_any(tmp_path):
    volume = volume_at(tmp_path / "s")
    labels = np.full((60, *volume.hu.shape[1:]), 12, np.uint8)
    labels[:6] = 7
    path = stored_mask(tmp_path / "m.nii", volume, labels, sform=(TO_RAS @ volume.affine, 1))
    assert (load_vertebra_mask(path, volume) == 7).all()
    labels[:6] = 8
    path = stored_mask(tmp_path / "m.nii", volume, labels, sform=(TO_RAS @ volume.affine, 1))
    with pytest.raises(DataRootError, match="labelled voxels"):
        load_vertebra_mask(path, volume)


def test_a_mask_beside_the_bone_is_refused_with_the_figures(tmp_path):
    hu = np.full((8, 10, 10), 40, np.int16)
    hu[:, :5] = 400
    write_ct_series(tmp_path / "s", hu)
    volume = read_series(tmp_path / "s")
    right = TO_RAS @ volume.affine
    labels = np.zeros(hu.shape, np.uint8)
    labels[:, 4:8, 2:6] = 3
    path = stored_mask(tmp_path / "m.nii", volume, labels, sform=(right, 1))
    assert load_vertebra_mask(path, volume).any()
    labels[:] = 0
    labels[:, 5:9, 2:6] = 3
    path = stored_mask(tmp_path / "m.nii", volume, labels, sform=(right, 1))
    with pytest.raises(
        DataRootError, match=r"0 of 128 voxels labelled C1 to C7 \(0.0%\) lie on bone"
    ):
        load_vertebra_mask(path, volume)
    assert load_vertebra_mask(path, volume, on_bone=False).any()
    assert load_vertebra_mask(path, series_grid(tmp_path / "s")).any()


@pytest.mark.parametrize(
    ("slope", "dtype"), [(0.33333, np.uint8), (19 / 255, np.uint8), (1.99995 / 2, np.int16)]
)
def test_labels_within_rounding_of_whole_numbers_are_taken(tmp_path, slope, dtype):
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    image = nib.Nifti1Image(np.rint(labels / slope).astype(dtype), TO_RAS @ volume.affine)
    image.header.set_slope_inter(slope, 0)
    nib.save(image, tmp_path / "m.nii")
    assert nib.load(tmp_path / "m.nii").get_fdata().max() != labels.max()
    np.testing.assert_array_equal(load_vertebra_mask(tmp_path / "m.nii", volume), labels)


def test_a_mask_that_was_interpolated_is_refused(tmp_path):
    volume = volume_at(tmp_path / "s")
    labels = np.full(volume.hu.shape, 3.0, np.float32)
    labels[2] = 2.9
    path = store(tmp_path / "m.nii", labels, volume, (0, 1, 2), (0, 0, 0), np.float32)
    with pytest.raises(DataRootError, match="whole numbers"):
        load_vertebra_mask(path, volume)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["m.nii", "m.nii.gz"])
def test_gzip_is_recognised_by_content(tmp_path, kind, packed, name):
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    content = kind(labels, TO_RAS @ volume.affine).to_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    np.testing.assert_array_equal(load_vertebra_mask(tmp_path / name, volume), labels)


@pytest.mark.slow
def test_a_real_mask_lies_on_the_scan_that_shares_its_grid(tmp_path, real_mask):
    # A public VerSe mask of C1 to T5: i runs to the left, j to the back, k to the head, so that the
    # pixels of its scan, cut to C1..C7, are a block of it, upside down.
    image = nib.load(real_mask)
    stored = np.asanyarray(image.dataobj)
    x_mm, y_mm, z_mm = np.abs(np.diag(image.affine)[:3])
    cervical = np.argwhere((stored > 0) & (stored <= 7))
    low, high = cervical.min(axis=0), cervical.max(axis=0) + 1
    block = stored[tuple(map(slice, low, high))].transpose(2, 1, 0)[::-1]
    write_ct_series(
        tmp_path / "s", np.where(block > 0, np.int16(400), np.int16(40)),
        spacing_mm=(z_mm, y_mm, x_mm), z_first_mm=(high[2] - 1) * z_mm,
        origin_xy_mm=(low[0] * x_mm, low[1] * y_mm),
    )  # fmt: skip
    volume = read_series(tmp_path / "s")
    np.testing.assert_array_equal(load_vertebra_mask(real_mask, volume), block)
    unpacked = tmp_path / "m.nii.gz"
    unpacked.write_bytes(gzip.decompress(real_mask.read_bytes()))
    np.testing.assert_array_equal(load_vertebra_mask(unpacked, volume), block)
    moved = nib.Nifti1Image(stored, shifted(image.affine, i=60 / x_mm))
    nib.save(moved, tmp_path / "moved.nii")
    with pytest.raises(DataRootError, match="labelled"):
        load_vertebra_mask(tmp_path / "moved.nii", volume)
