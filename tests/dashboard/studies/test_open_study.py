from __future__ import annotations

import subprocess
import sys

import pytest

from core.errors import DataRootError, DicomSeriesError
from core.models.bundles import BundleConfig
from core.models.pairs import BundlePair
from dashboard.studies import cohort, open_study, predictions
from tests.core.dicom.dicom_factory import write_ct_series
from tests.dashboard.workplace import FRACTURED, N_SLICES, SOUND, made_neck


def pair() -> BundlePair:
    return BundlePair(cohort.bundles("vertebra")[0], cohort.bundles("fracture")[0])


def open_first() -> open_study.OpenStudy:
    return open_study.open_study(cohort.find_cohort().studies[0].folder)


def read(study) -> None:
    if predictions.find_scores(study, pair()) is None:
        assert predictions.start_prediction(study, pair()).future.exception(timeout=60) is None


def test_the_cohort_counts_studies_slices_and_fractures(at_work):
    found = cohort.find_cohort()
    assert [record.study_id for record in found.studies] == [FRACTURED, SOUND]
    assert (found.synthetic, found.n_slices) == (True, 2 * N_SLICES)
    assert (found.n_labelled, found.n_fractured) == (2, 1)


def test_without_the_embedded_cohort_there_is_none_and_no_error(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    assert cohort.find_cohort() is None


def test_a_named_data_root_that_is_wrong_is_an_error(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path / "absent"))
    with pytest.raises(DataRootError):
        cohort.find_cohort()


def test_opening_a_folder_again_gives_the_same_read_only_volume(at_work):
    first, second = open_first(), open_first()
    assert first is second
    assert not first.volume.hu.flags.writeable


def test_a_changed_folder_is_read_again(tmp_path):
    write_ct_series(tmp_path / "s", made_neck(1), study_uid="1.2.3")
    before = open_study.open_study(tmp_path / "s")
    write_ct_series(tmp_path / "s", made_neck(2), study_uid="1.2.3")
    after = open_study.open_study(tmp_path / "s")
    assert before.fingerprint != after.fingerprint


def test_an_absent_folder_is_a_typed_error(tmp_path):
    with pytest.raises(DicomSeriesError, match="no such folder"):
        open_study.open_study(tmp_path / "absent")


def test_a_prediction_is_stored_by_content_and_found_after_a_restart(at_work, monkeypatch):
    study = open_first()
    read(study)
    predictions.SCORES.clear()
    open_study.OPEN_STUDIES.clear()
    monkeypatch.setattr(predictions, "_predict", None)
    again = open_first()
    scores = predictions.find_scores(again, pair())
    assert scores.predictions.n_slices == N_SLICES
    assert scores.predictions.study_id == FRACTURED


def test_a_copy_of_the_study_elsewhere_shares_its_prediction(at_work, tmp_path):
    study = open_first()
    read(study)
    for number, path in enumerate(study.volume.source_files):
        target = tmp_path / f"copy{number}.dcm"
        target.write_bytes(path.read_bytes())
    assert predictions.find_scores(open_study.open_study(tmp_path), pair()) is not None


def test_other_preprocessing_is_another_prediction(at_work):
    one = pair()
    config = BundleConfig(**(one.fracture.config.model_dump() | {"crop": 0.5}))
    other = BundlePair(one.vertebra, type(one.fracture)(one.fracture.folder, config, None, None))
    assert one.digest != other.digest


@pytest.mark.slow
def test_importing_the_dashboard_leaves_torch_alone(repo_root):
    code = (
        "import sys, dashboard.app, dashboard.diagnosis.study_view, "
        "dashboard.widgets.prediction_status, dashboard.overview.cards; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=repo_root, check=False).returncode == 0
