"""Folders of the server and masks are decoded in another process, whoever asks for them."""

from __future__ import annotations

import importlib
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from core.dataset.masks import BONE_HU
from core.dicom.series import read_one_slice, read_series
from core.errors import CSpineError, WorkerError
from core.models.pairs import BundlePair
from core.types import StudyRecord
from core.visualization.scene_sources import scene_sources
from dashboard.diagnosis import batch
from dashboard.session.settings import settings
from dashboard.spine_3d.surfaces import surfaces_job
from dashboard.studies import cohort, confined, masks, open_study
from tests.core.dicom.dicom_factory import made_hu, write_ct_series
from tests.core.prepared.test_sandboxed_masks import mask_file

DECODERS = (
    "core.prepared.volumes", "core.prepared.sandboxed_masks", "core.dataset.masks",
    "core.visualization.scene",
)  # fmt: skip


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """Caches of its own; whatever decodes here fails."""
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    open_study.OPEN_STUDIES.clear()

    def never(*_args, **_options):
        raise AssertionError("decoded in the server's process")

    for name in DECODERS:
        module = importlib.import_module(name)
        for decoder in ("read_series", "load_vertebra_mask", "read_labels_file"):
            if hasattr(module, decoder):
                monkeypatch.setattr(module, decoder, never)
    return tmp_path


def too_large(folder):
    """A series of 320 MiB from a file of some kilobytes, in its slices."""
    import pydicom

    paths = write_ct_series(folder, np.zeros((1, 1024, 1024), np.int16), syntax="jpeg-ls")
    dataset = pydicom.dcmread(paths[0])
    for number in range(2, 161):
        dataset.ImagePositionPatient = [0, 0, float(number)]
        dataset.InstanceNumber = number
        dataset.save_as(folder / f"{number}.dcm")
    return folder


def test_a_folder_is_read_elsewhere_as_it_would_be_here(at_work, apart):
    write_ct_series(apart / "s", made_hu())
    study = open_study.open_study(apart / "s")
    here = read_series(apart / "s", jobs=1)
    np.testing.assert_array_equal(study.volume.hu, here.hu)
    assert study.volume.source_files == here.source_files
    # Kept as before, so that a study is not read twice.
    assert list((apart / "cache" / "volumes").rglob("hu.npy"))


def test_a_study_in_the_store_needs_no_process(at_work, apart, monkeypatch):
    write_ct_series(apart / "s", made_hu())
    first = open_study.open_study(apart / "s")
    open_study.OPEN_STUDIES.clear()
    monkeypatch.setattr(confined, "_workers_of", None)
    assert open_study.open_study(apart / "s").fingerprint == first.fingerprint


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit")
def test_a_folder_that_needs_too_much_memory_is_refused_in_words(at_work, apart, monkeypatch):
    monkeypatch.setenv("UPLOAD_MEMORY_MIB", "256")
    with pytest.raises(WorkerError, match="more memory"):
        open_study.open_study(too_large(apart / "huge"))
    write_ct_series(apart / "s", made_hu())
    assert open_study.open_study(apart / "s").volume.n_slices == 5


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit")
def test_a_batch_goes_on_after_a_study_that_breaks_its_process(at_work, apart, monkeypatch):
    monkeypatch.setenv("UPLOAD_MEMORY_MIB", "256")
    sound = cohort.find_cohort().studies[0]
    records = (StudyRecord("huge", too_large(apart / "huge")), sound)
    pair = BundlePair(cohort.bundles("vertebra")[0], cohort.bundles("fracture")[0])
    many = batch.StudyBatch(records, pair)
    job = batch.start_batch(many)
    assert job.future.exception(timeout=120) is None
    table = batch.batch_table(many).set_index("Study")
    assert "more memory" in table.loc["huge", "Problem"]
    assert table.loc[sound.study_id, "Patient"] >= 0
    # What is only scored does not push other entries out of the store.
    assert not list((apart / "cache").rglob("hu.npy"))
    assert not list((apart / "cache" / "passing").iterdir())


def test_masks_and_surfaces_are_read_elsewhere(at_work, apart):
    study = open_study.open_study(cohort.find_cohort().studies[0].folder)
    labels = (study.volume.hu > BONE_HU).astype(np.uint8) * 4
    record = StudyRecord("s", study.volume.source_files[0].parent)
    record = replace(record, mask_file=mask_file(apart, study.volume, labels))
    np.testing.assert_array_equal(masks.mask_of(record.mask_file, study), labels)
    sources = scene_sources(study.volume, study.fingerprint, record, None)
    job = surfaces_job(study, sources)
    assert job.future.exception(timeout=120) is None


def test_one_slice_is_read_elsewhere_as_it_would_be_here(at_work, apart, monkeypatch):
    write_ct_series(apart / "s", made_hu())
    here, _ = read_one_slice(apart / "s", lambda volume: volume.n_slices - 2)
    monkeypatch.setattr("core.prepared.sandboxed_series.read_one_slice", None)
    there, index = confined.read_slice(apart / "s", lambda volume: volume.n_slices - 2)
    assert index == 3
    np.testing.assert_array_equal(there.hu, here.hu)
    np.testing.assert_array_equal(there.affine, here.affine)
    with pytest.raises(CSpineError, match="slice 9 was asked for"):
        confined.read_slice(apart / "s", lambda _: 9)


def test_a_folder_waits_for_no_upload(at_work, apart, monkeypatch):
    """Uploads have processes of their own: one that hangs holds up no folder."""
    write_ct_series(apart / "s", made_hu())
    workers = confined._workers_of("upload", settings())
    assert workers is not confined._workers_of("folder", settings())


def test_errors_are_of_the_types_that_pages_show(at_work, apart):
    (apart / "empty").mkdir()
    with pytest.raises(CSpineError):
        open_study.open_study(apart / "empty")
    with pytest.raises(CSpineError), confined.passing_volume(apart / "empty"):
        pass
    assert not list((apart / "cache").glob("passing/*"))


@pytest.mark.slow
def test_a_warm_reader_costs_little_beside_the_reading(at_work, apart):
    """Figures for docs/quality/server.md; the bound is wide, as the machine may be busy."""
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        write_ct_series(apart / name, rng.integers(-1000, 1500, (120, 256, 256)).astype(np.int16))
    confined.read_folder(apart / "a")
    began = time.perf_counter()
    read_series(apart / "b")
    here = time.perf_counter() - began
    began = time.perf_counter()
    confined.read_folder(apart / "b")
    there = time.perf_counter() - began
    assert there < 4 * here + 2
