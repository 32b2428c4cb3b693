"""An RSNA-like cohort has the real set's oddities, and the index finds exactly those planted."""

import json

import numpy as np
import pandas as pd
import pydicom
import pytest

from core.dataset.index import build_index
from core.dataset.masks import load_vertebra_mask
from core.dataset.quality import FLAG_COLUMNS
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.errors import DataRootError, DicomSeriesError
from core.phantom.cohort import BOX_EVERY, write_cohort
from core.phantom.quirks import RATES, plan_quirks
from core.phantom.study import make_study
from core.system.parallel import Workers

STUDIES, SEED, MATRIX = 12, 5, 64


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("rsna-like") / "data"
    write_cohort(root, studies=STUDIES, seed=SEED, matrix=MATRIX, rsna_like=True, jobs=2)
    return root


@pytest.fixture(scope="module")
def index(cohort, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return build_index(cohort, cache, workers=Workers(jobs=1)).studies.set_index("study_id")


@pytest.fixture(scope="module")
def planted(cohort):
    """Flags by study, from the manifest."""
    return json.loads((cohort / "phantom.json").read_text())["quirks"]


@pytest.fixture(scope="module")
def study_with(planted, cohort):
    def find(flag):
        uid = next(uid for uid, flags in planted.items() if flag in flags)
        truth = json.loads((cohort / "phantom_truth" / f"{uid}.json").read_text())
        return uid, cohort / "train_images" / uid, truth

    return find


@pytest.mark.slow
def test_every_quirk_is_planted(planted):
    assert {flag for flags in planted.values() for flag in flags} == set(RATES)


@pytest.mark.slow
def test_the_index_reports_exactly_what_was_planted(index, planted):
    assert len(index) == STUDIES
    for uid, row in index.iterrows():
        raised = {c.removeprefix("flag_") for c in FLAG_COLUMNS if row[c]}
        assert raised == set(planted.get(str(uid), [])), uid


@pytest.mark.slow
def test_the_truth_file_of_each_study_names_its_quirks(cohort, planted):
    for path in (cohort / "phantom_truth").iterdir():
        assert json.loads(path.read_text())["quirks"] == planted.get(path.stem, [])


def test_every_study_but_the_damaged_one_can_be_read(cohort, study_with):
    broken = study_with("unreadable_file")[0]
    for record in read_studies(cohort):
        if record.study_id == broken:
            with pytest.raises(DicomSeriesError):
                read_series(record.folder)
        else:
            assert len(read_series(record.folder).hu) >= 60


@pytest.mark.slow
def test_reversed_and_compressed_files_decode_to_the_made_voxels(study_with):
    for flag, first in (("reversed_numbering", 2), ("compressed", 59)):
        _, folder, truth = study_with(flag)
        volume = read_series(folder)
        k = next(k for k in range(STUDIES) if flag in plan_quirks(SEED, k))
        made = make_study(SEED, k, matrix=MATRIX, rsna_like=True)
        assert (volume.hu == made.hu).all()
        assert min(volume.instance_numbers) == first
        assert truth["n_slices"] == len(volume.hu)


def test_compressed_files_are_jpeg_lossless(study_with):
    file = next(study_with("compressed")[1].iterdir())
    assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"


def test_a_tilted_study_is_written_as_leaning_parallel_slices(study_with):
    folder = study_with("gantry_tilt")[1]
    heads = [pydicom.dcmread(f, stop_before_pixels=True) for f in sorted(folder.iterdir())]
    lean = np.degrees(np.arcsin(float(heads[0].ImageOrientationPatient[5])))
    assert abs(lean) >= 6
    assert len({tuple(h.ImageOrientationPatient) for h in heads}) == 1
    assert len({tuple(h.ImagePositionPatient[:2]) for h in heads}) == 1


def test_one_study_in_24_has_a_mask_that_fits_its_slices(cohort):
    masks = list((cohort / "segmentations").iterdir())
    assert len(masks) == 1
    volume = read_series(cohort / "train_images" / masks[0].stem)
    mask = load_vertebra_mask(masks[0], volume)
    assert {1, 2, 3, 4, 5, 6, 7} <= set(np.unique(mask))
    assert volume.hu[mask > 0].mean() > volume.hu[mask == 0].mean() + 200


def test_all_are_labelled_and_a_quarter_of_the_positives_boxed(cohort):
    labels = pd.read_csv(cohort / "train.csv")
    boxes = pd.read_csv(cohort / "train_bounding_boxes.csv")
    assert len(labels) == STUDIES
    positive = set(labels.loc[labels.patient_overall == 1, "StudyInstanceUID"])
    boxed = set(boxes.StudyInstanceUID)
    assert 1 <= len(boxed) <= len(positive) // BOX_EVERY + 2
    assert boxed <= positive
    assert not boxes.duplicated(["StudyInstanceUID", "slice_number"]).any()


def test_boxes_name_files_that_are_there(cohort):
    boxes = pd.read_csv(cohort / "train_bounding_boxes.csv")
    for uid, number in zip(boxes.StudyInstanceUID, boxes.slice_number, strict=True):
        assert (cohort / "train_images" / uid / f"{number}.dcm").is_file()


def test_a_folder_of_one_kind_is_not_filled_with_the_other(cohort):
    with pytest.raises(DataRootError, match="another seed"):
        write_cohort(cohort, studies=1, seed=SEED, matrix=MATRIX, jobs=1)


@pytest.mark.slow
def test_a_clean_cohort_is_labelled_masked_and_free_of_flags(tmp_path):
    root = tmp_path / "clean"
    uids = write_cohort(root, studies=2, seed=SEED, matrix=MATRIX, jobs=1)
    studies = build_index(root, tmp_path / "cache", workers=Workers(jobs=1)).studies
    assert not studies[list(FLAG_COLUMNS)].to_numpy().any()
    assert studies["has_mask"].to_numpy().all()
    assert studies["labelled"].to_numpy().all()
    assert "quirks" not in json.loads((root / "phantom.json").read_text())
    assert {p.stem for p in (root / "segmentations").iterdir()} == set(uids)
