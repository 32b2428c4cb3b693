"""Every fact that is known of the real data set, on tiny made-up studies."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from core.dataset.index_files import listing_of, place_files, read_file
from core.dicom.series import read_series
from core.errors import DicomSeriesError
from tests.core.dataset.made_root import (
    add_study,
    files_of,
    flags_of,
    index_here,
    study_of,
    write_boxes,
    write_labels,
)
from tests.core.dicom.dicom_factory import SYNTAXES, made_hu, write_ct_series


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def agrees_with_read_series(index, root, study):
    """The index places the slices as `read_series` does."""
    volume = read_series(root / "train_images" / study)
    files = files_of(index, study)
    files = files[files["slice_index"] >= 0].sort_values("slice_index")
    assert list(files.index) == [path.name for path in volume.source_files]
    np.testing.assert_allclose(files["z_mm"], volume.z_mm)
    np.testing.assert_array_equal(files["slice_index"], np.arange(volume.n_slices))


def test_an_ordinary_study_has_no_flag(root):
    add_study(root, "1.1")
    index = index_here(root)
    assert flags_of(index, "1.1") == set()
    row = study_of(index, "1.1")
    assert (row["n_files"], row["n_slices"], row["rows"], row["cols"]) == (25, 25, 4, 4)
    assert (row["row_mm"], row["z_spacing_mm"], row["thickness_mm"]) == (0.5, 3.0, 3.0)
    assert (row["z_min_step_mm"], row["z_max_step_mm"], row["coverage_mm"]) == (3.0, 3.0, 75.0)
    assert row["error"] is None
    agrees_with_read_series(index, root, "1.1")


@pytest.mark.slow
def test_the_real_series_indexes_clean(root, real_ct):
    folder = root / "train_images" / "1.2"
    folder.parent.mkdir(parents=True)
    folder.symlink_to(real_ct)
    index = index_here(root)
    (study,) = index.studies["study_id"]
    assert study == read_series(real_ct).study_uid
    assert flags_of(index, study) == set()
    row = study_of(index, study)
    assert (row["n_slices"], row["rows"], row["z_spacing_mm"], row["error"]) == (65, 512, 3.0, None)
    folder.rename(folder.with_name(study))
    agrees_with_read_series(index, root, study)


def test_numbering_from_the_feet_up_is_reversed(root):
    # 197 of 2,019 studies.
    add_study(root, "1.1", z_mm=np.arange(25) * 3.0)
    add_study(root, "1.2", names=[f"{25 - k}.dcm" for k in range(25)])
    add_study(root, "1.3", names=[f"slice_{k}" for k in range(25)],
              instance_numbers=range(25, 0, -1))  # fmt: skip
    add_study(root, "1.4")
    index = index_here(root)
    for study in ("1.1", "1.2", "1.3"):
        assert flags_of(index, study) == {"reversed_numbering"}
        agrees_with_read_series(index, root, study)
    assert flags_of(index, "1.4") == set()


@pytest.mark.parametrize("first", [0, 2, 59])
def test_numbering_may_start_anywhere(root, first):
    # Nine studies start at 2 and one at 59.
    numbers = range(first, first + 25)
    add_study(root, "1.1", instance_numbers=numbers, names=[f"{k}.dcm" for k in numbers])
    index = index_here(root)
    assert flags_of(index, "1.1") == set()
    assert files_of(index, "1.1").loc[f"{first}.dcm", "slice_index"] == 0


def test_a_stack_written_twice_has_each_position_once(root):
    # 1,082 files at 541 positions; here 82 at 41.
    z_mm = np.tile(100 - 2.0 * np.arange(41), 2)
    add_study(root, "1.1", slices=82, z_mm=z_mm)
    index = index_here(root)
    row, files = study_of(index, "1.1"), files_of(index, "1.1")
    assert flags_of(index, "1.1") == {"duplicate_positions"}
    assert (row["n_files"], row["n_slices"], row["error"]) == (82, 41, None)
    assert files["role"].value_counts().to_dict() == {"slice": 41, "duplicate": 41}
    assert (files.loc[files["role"] == "duplicate", "slice_index"] == -1).all()
    np.testing.assert_allclose(files.loc["42.dcm", "z_mm"], 100.0)
    assert files.loc["1.dcm", "slice_index"] == 0


def test_one_repeated_position_is_enough_for_the_flag(root):
    add_study(root, "1.1", z_mm=[*(-3.0 * np.arange(24)), -15.0])
    index = index_here(root)
    assert flags_of(index, "1.1") == {"duplicate_positions"}
    agrees_with_read_series(index, root, "1.1")


def test_sizes_other_than_the_usual_square_are_odd(root):
    # 512 x 512 but for 768 x 768 twice and 512 x 519 once; here in eighths of a hundred.
    for k in range(3):
        add_study(root, f"1.{k}", edge=8)
    add_study(root, "2.1", edge=12)
    add_study(root, "2.2", edge=12)
    add_study(root, "3.1", edge=(8, 9))
    index = index_here(root)
    odd = index.studies.loc[index.studies["flag_odd_size"], "study_id"]
    assert list(odd) == ["2.1", "2.2", "3.1"]
    assert (study_of(index, "3.1")["rows"], study_of(index, "3.1")["cols"]) == (8, 9)
    assert flags_of(index, "2.1") == {"odd_size"}


def test_the_size_of_a_small_synthetic_cohort_is_not_odd(root):
    add_study(root, "1.1", edge=6)
    add_study(root, "1.2", edge=6)
    assert index_here(root).studies["flag_odd_size"].tolist() == [False, False]


def test_a_missing_slice_is_a_gap_and_a_hole_in_the_numbering(root):
    paths = add_study(root, "1.1")
    paths[9].unlink()
    index = index_here(root)
    assert flags_of(index, "1.1") == {"gap", "missing_files"}
    assert study_of(index, "1.1")["z_max_step_mm"] == 6.0
    agrees_with_read_series(index, root, "1.1")


def test_a_jump_with_unbroken_numbers_is_only_a_gap(root):
    add_study(root, "1.1", z_mm=[*(-3.0 * np.arange(12)), *(-42 - 3.0 * np.arange(13))])
    assert flags_of(index_here(root), "1.1") == {"gap"}


def test_uneven_spacing_keeps_the_true_positions(root):
    # Two studies.
    z_mm = 90 - np.cumsum([0, *[3.0] * 12, *[4.2] * 12])
    add_study(root, "1.1", z_mm=z_mm)
    index = index_here(root)
    assert flags_of(index, "1.1") == {"uneven_spacing"}
    files = files_of(index, "1.1").sort_values("slice_index")
    np.testing.assert_allclose(files["z_mm"], z_mm)
    np.testing.assert_allclose(read_series(root / "train_images/1.1").z_mm, z_mm)


def test_forty_eight_millimetres_are_short(root):
    # One study.
    add_study(root, "1.1", slices=97, spacing_mm=(0.5, 0.5, 0.5))
    index = index_here(root)
    assert flags_of(index, "1.1") == {"short_coverage"}
    assert study_of(index, "1.1")["coverage_mm"] == pytest.approx(48.5)


@pytest.mark.parametrize("spacing", [0.31, 2.63])
def test_the_thinnest_and_the_thickest_spacing_are_ordinary(root, spacing):
    add_study(root, "1.1", slices=int(64 / spacing), spacing_mm=(spacing, 0.5, 0.5))
    assert flags_of(index_here(root), "1.1") == set()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_compressed_files_are_flagged(root, syntax):
    add_study(root, "1.1", edge=16, syntax=syntax, bits_stored=12)
    index = index_here(root)
    plain = syntax in ("implicit", "explicit", "big-endian")
    assert flags_of(index, "1.1") == (set() if plain else {"compressed"})
    assert set(files_of(index, "1.1")["transfer_syntax"]) == {SYNTAXES[syntax]}


def test_a_localizer_and_a_second_series_get_other_roles(root):
    def scout(ds, _):
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    add_study(root, "1.1")
    folder = root / "train_images" / "1.1"
    numbers = [26, 27, 28]
    write_ct_series(folder, made_hu(1), names=["a.dcm"], instance_numbers=[29], edit=scout)
    write_ct_series(folder, made_hu(3), names=["b", "c", "d"], instance_numbers=numbers)
    write_ct_series(
        folder, made_hu(1), names=["e.dcm"], edit=lambda ds, _: setattr(ds, "Modality", "SR")
    )
    index = index_here(root)
    assert flags_of(index, "1.1") == {"mixed_series"}
    files = files_of(index, "1.1")
    assert dict(files.loc[["a.dcm", "b", "e.dcm", "1.dcm"], "role"]) == {
        "a.dcm": "localizer", "b": "other series", "e.dcm": "not CT", "1.dcm": "slice",
    }  # fmt: skip
    assert study_of(index, "1.1")["n_slices"] == 25
    agrees_with_read_series(index, root, "1.1")


def test_slices_of_two_sizes_in_one_series_are_two_volumes(root):
    add_study(root, "1.1")
    add_study(root, "1.1", slices=2, edge=6, names=["x.dcm", "y.dcm"], z_first_mm=0)
    index = index_here(root)
    assert flags_of(index, "1.1") == {"mixed_series"}
    row = study_of(index, "1.1")
    assert (row["n_slices"], row["error"]) == (25, None)
    agrees_with_read_series(index, root, "1.1")


def test_a_tilted_gantry_is_flagged(root):
    def lean(ds, k):
        x, y, z = (float(v) for v in ds.ImagePositionPatient)
        ds.ImagePositionPatient = [x, y + 0.3 * k, z]

    add_study(root, "1.1", edit=lean)
    assert flags_of(index_here(root), "1.1") == {"gantry_tilt"}


def test_labels_boxes_and_masks_come_from_the_tables(root):
    for study in ("1.1", "1.2", "1.3"):
        add_study(root, study)
    write_labels(root, {"1.1": (0, 1, 0, 0, 0, 0, 1), "1.2": (0,) * 7})
    write_boxes(root, [("1.1", 3), ("1.1", 4)])
    (root / "segmentations").mkdir()
    (root / "segmentations" / "1.2.nii").touch()
    index = index_here(root)
    studies = index.studies.set_index("study_id")
    assert studies["labelled"].tolist() == [True, True, False]
    assert studies["patient_overall"].to_list()[:2] == [True, False]
    assert studies["C2"].isna().tolist() == [False, False, True]
    assert bool(studies.loc["1.1", "C7"])
    assert studies["n_boxes"].tolist() == [2, 0, 0]
    assert studies["has_mask"].tolist() == [False, True, False]
    assert str(studies["C1"].dtype) == "boolean"
    assert studies["flag_missing_files"].tolist() == [False] * 3


def test_a_box_on_a_slice_that_is_not_there_and_a_study_without_folder_are_missing(root):
    add_study(root, "1.1")
    add_study(root, "1.2")
    write_labels(root, {"1.1": (0, 1, 0, 0, 0, 0, 1), "1.9": (0,) * 7})
    write_boxes(root, [("1.1", 26), ("1.8", 1)])
    index = index_here(root)
    assert flags_of(index, "1.1") == {"missing_files"}
    assert flags_of(index, "1.2") == set()
    for study in ("1.8", "1.9"):
        assert flags_of(index, study) == {"missing_files"}
        assert "no folder" in study_of(index, study)["error"]
        assert study_of(index, study)["n_files"] == 0
    assert study_of(index, "1.1")["error"] is None


@pytest.mark.parametrize(
    ("damage", "role", "problem"),
    [
        (lambda content: content[:-3], "unreadable", "truncated"),
        (lambda content: content[:150], "unreadable", None),
        (lambda content: content[:300], "unreadable", None),
        (lambda _: b"", "not DICOM", None),
        (lambda _: b"no DICOM at all" * 20, "not DICOM", None),
    ],
)
def test_a_damaged_file_is_a_row_with_a_flag(root, damage, role, problem):
    path = add_study(root, "1.1")[24]
    path.write_bytes(damage(path.read_bytes()))
    index = index_here(root)
    assert flags_of(index, "1.1") == {"unreadable_file"}
    assert files_of(index, "1.1").loc[path.name, "role"] == role
    error = study_of(index, "1.1")["error"]
    if problem is None:
        assert error is None
    else:
        assert error.startswith(f"1.1/{path.name}: ")
        assert problem in error


def test_a_study_has_an_error_exactly_where_it_cannot_be_read(root):
    path = add_study(root, "1.1", slices=3)[1]
    content = path.read_bytes()
    for keep in range(0, len(content) + 1, 23):
        path.write_bytes(content[:keep])
        names = [name for name, _, _ in listing_of(path.parent)]
        files = [facts for name in names for facts in read_file(path.parent / name)]
        _, _, error = place_files(path.parent, files)
        try:
            read_series(path.parent)
        except DicomSeriesError:
            assert error, keep
        else:
            assert not error, keep


@pytest.mark.parametrize("syntax", ["jpeg-lossless", "rle", "jpeg-ls"])
def test_compressed_pixels_that_are_cut_off_are_unreadable(root, syntax):
    path = add_study(root, "1.1", edge=32, syntax=syntax, bits_stored=12)[0]
    path.write_bytes(path.read_bytes()[:-30])
    index = index_here(root)
    assert flags_of(index, "1.1") == {"unreadable_file", "compressed"}
    assert "cut off" in study_of(index, "1.1")["error"]


def test_an_empty_folder_and_one_without_ct_are_rows_with_an_error(root):
    (root / "train_images" / "1.1").mkdir(parents=True)
    add_study(root, "1.2", edit=lambda ds, _: setattr(ds, "Modality", "MR"))
    (root / "train_images" / "1.3").mkdir()
    shutil.copy(__file__, root / "train_images" / "1.3" / "notes.txt")
    index = index_here(root)
    assert flags_of(index, "1.1") == {"missing_files"}
    assert "holds no files" in study_of(index, "1.1")["error"]
    assert flags_of(index, "1.2") == {"mixed_series"}
    assert "no CT slices" in study_of(index, "1.2")["error"]
    assert flags_of(index, "1.3") == set()
    assert "none of its files is DICOM" in study_of(index, "1.3")["error"]
