from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.errors import DataRootError, StorageError
from core.phantom.cohort import cohort_uids, write_cohort
from core.phantom.on_demand import (
    CohortSeed,
    find_cohort_seed,
    made_record,
    materialise_study,
)

SEED = CohortSeed(seed=5, studies=2, matrix=64)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohort")
    write_cohort(root, studies=2, seed=5, matrix=64, jobs=1)
    return root


@pytest.mark.slow
def test_a_study_made_again_has_the_voxels_of_the_cohort(cohort, tmp_path):
    uid = cohort_uids(studies=2, seed=5, matrix=64)[1]
    folder = materialise_study(uid, [CohortSeed(seed=9, studies=4, matrix=64), SEED], tmp_path)
    made, original = read_series(folder), read_series(cohort / "train_images" / uid)
    assert made.study_uid == uid
    assert np.array_equal(made.hu, original.hu)
    assert made.affine == pytest.approx(original.affine)


@pytest.mark.slow
def test_a_study_that_is_there_is_left_alone_and_nothing_else_stays(tmp_path):
    uid = cohort_uids(studies=2, seed=5, matrix=64)[0]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: materialise_study(uid, [SEED], tmp_path), range(2))
    assert first == second
    stamps = {file: file.stat().st_mtime_ns for file in first.iterdir()}
    materialise_study(uid, [], tmp_path)
    assert {file: file.stat().st_mtime_ns for file in first.iterdir()} == stamps
    kinds = {"train_images", "segmentations", "fracture_masks", "phantom_truth"}
    assert {entry.name for entry in tmp_path.iterdir()} <= kinds
    assert all(entry.name.split(".nii")[0].removesuffix(".json") == uid
               for kind in tmp_path.iterdir() for entry in kind.iterdir())  # fmt: skip
    # An earlier version kept the images alone.
    (tmp_path / "phantom_truth" / f"{uid}.json").unlink()
    assert made_record(materialise_study(uid, [], tmp_path)).fractured is None


@pytest.mark.slow
def test_the_record_of_a_study_made_again_is_that_of_the_cohort(cohort, tmp_path):
    for uid in cohort_uids(studies=2, seed=5, matrix=64):
        made = made_record(materialise_study(uid, [SEED], tmp_path))
        (original,) = (one for one in read_studies(cohort) if one.study_id == uid)
        assert (made.study_id, made.names) == (original.study_id, original.names)
        assert (made.fractured, made.boxes) == (original.fractured, original.boxes)
        assert made.mask_file.read_bytes() == original.mask_file.read_bytes()


def test_a_study_of_no_cohort_is_refused_with_the_remedy(tmp_path):
    assert find_cohort_seed("1.2.3", [SEED]) is None
    with pytest.raises(DataRootError, match="set RSNA_ROOT"):
        materialise_study("1.2.3", [SEED], tmp_path)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    uid = cohort_uids(studies=1, seed=5, matrix=64)[0]
    with pytest.raises(StorageError):
        materialise_study(uid, [SEED], blocked)
