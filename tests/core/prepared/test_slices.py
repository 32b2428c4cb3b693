import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from core.config import SlicePreparation
from core.constants import NETWORK_WINDOWS
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.errors import DataRootError, DicomSeriesError, StorageError
from core.prepared import slices
from core.prepared.filling import fill_entries
from core.prepared.slices import load_study_slices, slices_entry
from core.preprocessing.network_input import slices_for_network
from core.preprocessing.noise_reduction import reduce_noise
from core.preprocessing.spine_field import find_spine_field
from core.system.parallel import Workers
from core.types import NoiseReduction, StudyRecord
from tests.core.dicom.dicom_factory import write_ct_series
from tests.core.training.made_data_root import write_data_root
from tests.stores import made_store


@pytest.fixture
def root(tmp_path):
    return write_data_root(tmp_path / "root", studies=2, slices=7)


@pytest.fixture
def reads(monkeypatch):
    """Count how often a series is read."""
    folders = []

    def counted(folder, **options):
        folders.append(folder)
        return read_series(folder, **options)

    monkeypatch.setattr(slices, "read_series", counted)
    return folders


def _load(record, cache_dir, **changes):
    how = SlicePreparation(**({"crop": 0.9, "size": 32} | changes))
    return load_study_slices(record, how, store=made_store(cache_dir))


def test_gives_what_the_network_path_makes_of_the_series(root, tmp_path):
    record = read_studies(root)[1]
    study = _load(record, tmp_path / "cache")
    volume = read_series(record.folder, jobs=1)
    expected = slices_for_network(volume.hu, SlicePreparation(crop=0.9, size=32))
    np.testing.assert_array_equal(study.images, expected)
    np.testing.assert_array_equal(study.z_mm, volume.z_mm)
    np.testing.assert_array_equal(study.presence, np.eye(7, dtype=bool))
    assert study.fractured.sum() == 1
    assert study.study_id == record.study_id


def test_second_load_reads_no_dicom_and_gives_the_same(root, tmp_path, reads):
    record = read_studies(root)[0]
    first, second = (_load(record, tmp_path / "cache") for _ in range(2))
    assert len(reads) == 1
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.presence, second.presence)


def test_geometry_comes_with_the_slices(root, tmp_path):
    study = _load(read_studies(root)[0], tmp_path / "cache")
    assert study.thickness_mm == 2.0
    assert study.spacing_mm == (2.0, 1.0, 1.0)


def test_thickness_that_the_files_do_not_give_is_nan(tmp_path):
    def without_thickness(ds, _):
        del ds.SliceThickness

    hu = np.zeros((3, 8, 8), np.int16)
    write_ct_series(tmp_path / "1.2", hu, edit=without_thickness)
    study = _load(StudyRecord("1.2", tmp_path / "1.2"), tmp_path / "cache")
    assert np.isnan(study.thickness_mm)


def test_three_windows_are_kept_as_three_channels(root, tmp_path):
    record = read_studies(root)[0]
    study = _load(record, tmp_path / "cache", channels="windows")
    assert study.images.shape == (7, 3, 32, 32)
    assert study.channels == "windows"
    for channel, (center, width) in enumerate(NETWORK_WINDOWS.values()):
        window = {"window_center": center, "window_width": width}
        grey = _load(record, tmp_path / "cache", **window).images
        np.testing.assert_array_equal(study.images[:, channel], grey)


def test_the_runs_window_makes_no_other_entry_of_three_windows(root, tmp_path, reads):
    record = read_studies(root)[0]
    for center, width in ((400, 1800), (40, 400)):
        window = {"window_center": center, "window_width": width}
        _load(record, tmp_path / "cache", channels="windows", **window)
    assert len(reads) == 1


def test_neighbours_are_stacked_from_the_grey_entry(root, tmp_path, reads):
    record = read_studies(root)[0]
    grey = _load(record, tmp_path / "cache")
    neighbours = _load(record, tmp_path / "cache", channels="neighbours")
    np.testing.assert_array_equal(grey.images, neighbours.images)
    assert neighbours.channels == "neighbours"
    assert len(reads) == 1


def test_noise_reduction_is_kept_under_a_key_of_its_own(root, tmp_path, reads):
    record = read_studies(root)[0]
    plain = _load(record, tmp_path / "cache").images
    for clusters in (4, 2):
        how = {"noise_reduction": "kmeans", "noise_clusters": clusters}
        kept = _load(record, tmp_path / "cache", **how).images
        by_hand = NoiseReduction("kmeans", clusters=clusters)
        expected = np.stack([reduce_noise(image, by_hand) for image in plain])
        np.testing.assert_array_equal(kept, expected)
    assert len(reads) == 3
    # What a method does not use makes no other entry, and none at all the old one.
    _load(record, tmp_path / "cache", **how, noise_threshold=9)
    _load(record, tmp_path / "cache", noise_clusters=2)
    assert len(reads) == 3


BONE, SOFT, SPONGY = [400.0, 1800.0], [40.0, 400.0], [300.0, 600.0]


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({}, {"windows": [BONE], "crop": 0.9, "field_mm": None, "size": 32}),
        (
            {"channels": "windows", "window_center": 0, "noise_reduction": "otsu"},
            {
                "windows": [BONE, SOFT, SPONGY], "crop": 0.9, "field_mm": None, "size": 32,
                "noise": ["otsu", None],
            },
        ),
        (
            {
                "channels": "neighbours", "field_mm": 20, "window_center": 40, "window_width": 400,
                "noise_reduction": "threshold",
            },
            {
                "windows": [SOFT], "crop": None, "field_mm": [20.0, 1], "size": 32,
                "noise": ["threshold", 30],
            },
        ),
    ],
)  # fmt: skip
def test_entries_of_earlier_versions_serve(root, tmp_path, monkeypatch, how, named):
    keys = []
    real = slices.entry_key
    monkeypatch.setattr(slices, "entry_key", lambda content: keys.append(content) or real(content))
    _load(read_studies(root)[0], tmp_path / "cache", **how)
    digests = ("series", "mask")
    kept = {key: value for key, value in keys[0].items() if key not in digests}
    # As JSON, since 20 and 20.0 make different names.
    assert json.dumps(kept, sort_keys=True) == json.dumps(named, sort_keys=True)


def test_images_are_memory_mapped_and_read_only(root, tmp_path):
    images = _load(read_studies(root)[0], tmp_path / "cache").images
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize(
    "change",
    [{"size": 40}, {"crop": 0.8}, {"window_center": 40}, {"window_width": 400}],
    ids=lambda c: next(iter(c)),
)
def test_other_preprocessing_is_another_entry(root, tmp_path, reads, change):
    record = read_studies(root)[0]
    plain, changed = _load(record, tmp_path / "cache"), _load(record, tmp_path / "cache", **change)
    assert len(reads) == 2
    assert plain.images.shape != changed.images.shape or (plain.images != changed.images).any()


def test_changed_pixels_are_never_answered_from_the_old_entry(root, tmp_path, reads):
    first, second = read_studies(root)
    cache_dir = tmp_path / "cache"
    before = _load(first, cache_dir).images.copy()
    shutil.rmtree(first.folder)
    shutil.copytree(second.folder, first.folder)
    assert (_load(first, cache_dir).images != before).any()


def test_changed_mask_changes_the_presence(root, tmp_path):
    first = read_studies(root)[0]
    _load(first, tmp_path / "cache")
    first.mask_file.unlink()
    without = read_studies(root)[0]
    assert _load(without, tmp_path / "cache").presence is None


def test_a_moved_data_set_is_still_known(root, tmp_path, reads):
    _load(read_studies(root)[0], tmp_path / "cache")
    root.rename(tmp_path / "elsewhere")
    _load(read_studies(tmp_path / "elsewhere")[0], tmp_path / "cache")
    assert len(reads) == 1


def test_labels_come_from_the_record_and_not_from_the_store(root, tmp_path, reads):
    record = read_studies(root)[0]
    _load(record, tmp_path / "cache")
    unlabelled = StudyRecord(record.study_id, record.folder, None, mask_file=record.mask_file)
    assert _load(unlabelled, tmp_path / "cache").fractured is None
    assert len(reads) == 1


def test_damaged_entry_is_built_again(root, tmp_path, reads):
    record = read_studies(root)[0]
    expected = _load(record, tmp_path / "cache").images.copy()
    (images,) = (tmp_path / "cache").rglob("images.npy")
    images.write_bytes(images.read_bytes()[:200])
    np.testing.assert_array_equal(_load(record, tmp_path / "cache").images, expected)
    assert len(reads) == 2


def test_folder_without_dicom_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DicomSeriesError, match="empty"):
        _load(StudyRecord("1.2", tmp_path / "empty"), tmp_path / "cache")


def test_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(DataRootError, match="gone"):
        _load(StudyRecord("1.2", tmp_path / "gone"), tmp_path / "cache")


def test_store_that_cannot_be_written_is_a_storage_error(root, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"free some|folder you can write"):
        _load(read_studies(root)[0], tmp_path / "cache")


def _fill(root, cache_dir, **changes):
    options = {
        "store": made_store(cache_dir), "workers": Workers(jobs=1), "progress": None,
    } | changes  # fmt: skip
    fetch = partial(slices_entry, preparation=SlicePreparation(crop=0.9, size=32))
    return fill_entries(fetch, read_studies(root), **options)


def test_filling_prepares_every_study_for_later_loads(root, tmp_path, reads):
    seen = []
    report = _fill(root, tmp_path / "cache", progress=lambda *counts: seen.append(counts))
    assert (report.built, report.found, report.failed, report.notes) == (2, 0, [], ())
    assert seen[-1] == (2, 2)
    assert report.bytes > 2 * 7 * 32 * 32
    for record in read_studies(root):
        _load(record, tmp_path / "cache")
    assert len(reads) == 2


def test_filling_again_finds_everything(root, tmp_path):
    first, again = (_fill(root, tmp_path / "cache") for _ in range(2))
    assert (again.built, again.found, again.bytes) == (0, 2, first.bytes)


def test_a_study_that_cannot_be_prepared_is_reported_and_does_not_stop_the_others(root, tmp_path):
    torn = read_studies(root)[0]
    for file in torn.folder.iterdir():
        file.write_bytes(b"torn")
    report = _fill(root, tmp_path / "cache")
    assert report.built == 1
    assert [study_id for study_id, _ in report.failed] == [torn.study_id]
    assert torn.study_id in report.failed[0][1]


@pytest.mark.slow
def test_processes_fill_the_store_as_one_process_does(root, tmp_path):
    report = _fill(root, tmp_path / "many", workers=Workers(jobs=2))
    assert (report.built, report.failed) == (2, [])
    _fill(root, tmp_path / "one")
    for record in read_studies(root):
        one, many = (_load(record, tmp_path / name) for name in ("one", "many"))
        np.testing.assert_array_equal(one.images, many.images)


def test_a_data_set_larger_than_the_store_is_pointed_out(root, tmp_path):
    report = _fill(root, tmp_path, store=made_store(tmp_path / "cache", limit_bytes=10_000))
    assert report.built == 2
    assert "CACHE_LIMIT_GIB" in report.notes[0]


def test_a_spine_field_takes_the_place_of_the_crop_and_is_another_entry(root, tmp_path, reads):
    record = read_studies(root)[0]
    crop, narrow, wide = (
        _load(record, tmp_path / "cache", **({} if side is None else {"field_mm": side}))
        for side in (None, 20.0, 40.0)
    )
    assert len(reads) == 3
    volume = read_series(record.folder, jobs=1)
    field = find_spine_field(volume.hu, volume.spacing_mm, 20.0)
    expected = slices_for_network(volume.hu, SlicePreparation(size=32, field_mm=20), field)
    np.testing.assert_array_equal(narrow.images, expected)
    assert crop.images.shape == narrow.images.shape == wide.images.shape


def test_boxes_are_told_by_the_files_numbers(root, tmp_path):
    record = read_studies(root)[1]
    names = sorted(int(path.stem) for path in record.folder.glob("*.dcm"))
    boxed = replace(record, boxes=((names[0], (0.0, 0.0, 2.0, 2.0)),))
    study = _load(boxed, tmp_path / "cache")
    volume = read_series(record.folder, jobs=1)
    expected = [int(path.stem) == names[0] for path in volume.source_files]
    np.testing.assert_array_equal(study.boxed, expected)
    assert _load(record, tmp_path / "cache").boxed is None
    intact = replace(record, fractured=(False,) * 7)
    assert not _load(intact, tmp_path / "cache").boxed.any()
