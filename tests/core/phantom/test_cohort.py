"""Cohorts on disk are RSNA's layout, readable by our own readers, and resumable."""

import json

import nibabel as nib
import pandas as pd
import pydicom
import pytest

from core.dataset.masks import load_vertebra_mask, presence_from_mask
from core.dataset.rsna import is_synthetic, read_studies
from core.dicom.series import read_series
from core.errors import ConfigError, DataRootError
from core.phantom.cohort import GENERATOR_VERSION, discard_outdated, write_cohort
from core.phantom.study import make_study

SEED = 1


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohort") / "data"
    seen: list[tuple[int, int]] = []
    uids = write_cohort(
        root, studies=3, seed=SEED, jobs=1, matrix=96, progress=lambda *p: seen.append(p)
    )
    return root, uids, seen


@pytest.fixture(scope="module")
def by_content(cohort):
    """The made studies by StudyInstanceUID."""
    root, uids, _ = cohort
    made = [make_study(SEED, k, matrix=96) for k in range(3)]
    found = {}
    for uid in uids:
        volume = read_series(root / "train_images" / uid)
        found[uid] = next(
            m for m in made if m.hu.shape == volume.hu.shape and (m.hu == volume.hu).all()
        )
    return found


@pytest.mark.slow
def test_progress_runs_to_the_end(cohort):
    assert cohort[2][0] == (0, 3)
    assert cohort[2][-1] == (3, 3)


@pytest.mark.slow
def test_dicom_gives_back_the_voxels_and_the_grid(cohort, by_content):
    root, uids, _ = cohort
    assert len(by_content) == 3
    volume = read_series(root / "train_images" / uids[0])
    grid = by_content[uids[0]].grid
    assert volume.spacing_mm == pytest.approx(
        (grid.slice_mm, grid.pixel_mm, grid.pixel_mm), abs=1e-3
    )
    assert volume.affine @ [0, 0, 0, 1] == pytest.approx([*grid.corner, 1], abs=1e-3)


@pytest.mark.slow
def test_masks_map_onto_the_dicom_grid_by_their_affines(cohort, by_content):
    root, uids, _ = cohort
    for uid in uids:
        volume = read_series(root / "train_images" / uid)
        mask = load_vertebra_mask(root / "segmentations" / f"{uid}.nii", volume)
        assert (mask == by_content[uid].mask).all()
        assert presence_from_mask(mask).any(axis=0).all()


@pytest.mark.slow
def test_masks_are_stored_sagittally_like_the_real_ones(cohort):
    root, uids, _ = cohort
    image = nib.load(root / "segmentations" / f"{uids[0]}.nii")
    assert nib.aff2axcodes(image.affine) == ("A", "S", "L")


@pytest.mark.slow
def test_tables_agree_with_what_was_planted(cohort, by_content):
    root, uids, _ = cohort
    labels = pd.read_csv(root / "train.csv").set_index("StudyInstanceUID")
    boxes = pd.read_csv(root / "train_bounding_boxes.csv")
    assert list(labels.index) == uids
    for uid, study in by_content.items():
        assert tuple(labels.loc[uid, list(labels.columns[1:])]) == study.labels
        assert labels.loc[uid, "patient_overall"] == max(study.labels)
        rows = boxes[boxes.StudyInstanceUID == uid]
        assert list(rows.slice_number) == [i + 1 for i, _ in study.boxes()]


def test_read_studies_recognises_the_cohort_as_synthetic(cohort):
    root, uids, _ = cohort
    assert is_synthetic(root)
    assert [record.study_id for record in read_studies(root)] == uids


def test_files_carry_no_identity_and_say_that_they_are_synthetic(cohort):
    root, uids, _ = cohort
    header = pydicom.dcmread(next((root / "train_images" / uids[0]).iterdir()))
    assert "SYNTHETIC" in str(header.PatientName)
    assert header.PatientBirthDate == ""


@pytest.mark.slow
def test_a_second_call_makes_nothing_again_and_more_studies_keep_the_first(cohort, tmp_path):
    root = tmp_path / "grow"
    first = write_cohort(root, studies=1, seed=9, jobs=1, matrix=64)
    file = root / "train_images" / first[0] / "1.dcm"
    stamp = file.stat().st_mtime_ns
    both = write_cohort(root, studies=2, seed=9, jobs=1, matrix=64)
    assert set(first) < set(both)
    assert file.stat().st_mtime_ns == stamp


@pytest.mark.slow
@pytest.mark.parametrize("rsna_like", [False, True])
def test_a_complete_cohort_is_not_written_again(tmp_path, rsna_like):
    made = {"studies": 1, "seed": 3, "matrix": 64, "jobs": 1, "rsna_like": rsna_like}
    write_cohort(tmp_path / "set", **made)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    write_cohort(tmp_path / "set", **made)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    (tmp_path / "set" / "train.csv").write_text("torn")
    write_cohort(tmp_path / "set", **made)
    assert (tmp_path / "set" / "train.csv").read_text().startswith("StudyInstanceUID,")


@pytest.mark.slow
def test_a_study_cut_off_half_way_is_made_again(tmp_path):
    uid = write_cohort(tmp_path, studies=1, seed=9, jobs=1, matrix=64)[0]
    before = (tmp_path / "train_images" / uid / "2.dcm").read_bytes()
    (tmp_path / "phantom_truth" / f"{uid}.json").unlink()
    (tmp_path / "train_images" / uid / "2.dcm").unlink()
    write_cohort(tmp_path, studies=1, seed=9, jobs=1, matrix=64)
    assert (tmp_path / "train_images" / uid / "2.dcm").read_bytes() == before


def test_another_seed_or_foreign_files_are_never_overwritten(cohort, tmp_path):
    with pytest.raises(DataRootError, match="another seed"):
        write_cohort(cohort[0], studies=1, seed=SEED + 1, jobs=1, matrix=96)
    (tmp_path / "train.csv").write_text("mine")
    with pytest.raises(DataRootError, match="did not write"):
        write_cohort(tmp_path, studies=1, seed=0, jobs=1)
    assert (tmp_path / "train.csv").read_text() == "mine"


@pytest.mark.parametrize("bad", [{"studies": 0}, {"seed": -1}, {"matrix": 8}])
def test_settings_out_of_range_are_refused(tmp_path, bad):
    with pytest.raises(ConfigError):
        write_cohort(tmp_path / "new", **({"studies": 1, "seed": 0} | bad))
    assert not (tmp_path / "new").exists()


def test_the_manifest_is_marked_synthetic(cohort):
    assert json.loads((cohort[0] / "phantom.json").read_text())["synthetic"] is True


def test_a_cohort_of_an_earlier_generator_is_removed_and_other_files_stay(tmp_path):
    for name in ("train_images/1.2", "phantom_truth"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "phantom.json").write_text('{"synthetic": true, "generator_version": 1}')
    (tmp_path / "train.csv").write_text("x")
    (tmp_path / "notes.txt").write_text("mine")
    assert discard_outdated(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "manifest", [None, "{", "[]", "{}", f'{{"generator_version": {GENERATOR_VERSION}}}']
)
def test_what_is_not_of_an_earlier_generator_stays(tmp_path, manifest):
    (tmp_path / "train.csv").write_text("x")
    if manifest is not None:
        (tmp_path / "phantom.json").write_text(manifest)
    assert not discard_outdated(tmp_path)
    assert (tmp_path / "train.csv").exists()
