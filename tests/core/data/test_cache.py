import shutil

import numpy as np
import pytest

from core.data import cache
from core.data.cache import load_study_slices
from core.data.dicom_series import read_series
from core.data.rsna import read_studies
from core.errors import DataRootError, DicomSeriesError, StorageError
from core.preprocessing.network_input import slices_for_network
from core.types import HuWindow, StudyRecord
from tests.core.training.made_data_root import write_data_root

WINDOW = HuWindow(400, 1800)


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

    monkeypatch.setattr(cache, "read_series", counted)
    return folders


def _load(record, cache_dir, **changes):
    options = {"window": WINDOW, "crop": 0.9, "size": 32, "cache_dir": cache_dir, "jobs": 1}
    return load_study_slices(record, **(options | changes))


def test_gives_what_the_network_path_makes_of_the_series(root, tmp_path):
    record = read_studies(root)[1]
    study = _load(record, tmp_path / "cache")
    volume = read_series(record.folder, jobs=1)
    expected = slices_for_network(volume.hu, window=WINDOW, crop=0.9, size=32)
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


def test_images_are_memory_mapped_and_read_only(root, tmp_path):
    images = _load(read_studies(root)[0], tmp_path / "cache").images
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize(
    "change",
    [{"size": 40}, {"crop": 0.8}, {"window": HuWindow(40, 400)}],
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


def test_failure_while_building_leaves_nothing_behind(root, tmp_path, monkeypatch):
    record = read_studies(root)[0]

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full_disk)
    with pytest.raises(StorageError, match="No space left"):
        _load(record, tmp_path / "cache")
    monkeypatch.undo()
    assert not list((tmp_path / "cache").rglob("*.npy"))
    assert _load(record, tmp_path / "cache").n_slices == 7


def test_entry_made_by_another_process_meanwhile_is_used(root, tmp_path, monkeypatch):
    record = read_studies(root)[0]
    cache_dir = tmp_path / "cache"

    def slow_read(folder, **options):
        monkeypatch.undo()
        _load(record, cache_dir)
        return read_series(folder, **options)

    monkeypatch.setattr(cache, "read_series", slow_read)
    assert _load(record, cache_dir).n_slices == 7
    assert len(list(cache_dir.rglob("images.npy"))) == 1
    assert not list(cache_dir.rglob(".building-*"))


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
