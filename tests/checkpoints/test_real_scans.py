"""The shipped networks make no false call on real scans, which are kept beside the checkout."""

from __future__ import annotations

import pytest

from core.config import PROJECT_ROOT
from core.constants import VERTEBRAE
from core.dicom.series import read_series
from core.experiments.presence_auc import presence_auc
from core.experiments.real_check import read_levels
from core.inference.boxes.study_scores import load_predictor
from core.inference.study_scores import score_study
from core.inference.verdict import judge
from core.models.pairs import choose_pair

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def networks():
    pair = choose_pair(PROJECT_ROOT / "checkpoints")
    return pair, load_predictor(pair)


@pytest.mark.parametrize("scan", ["alderson_cspine", "visible_human_male"])
def test_no_fracture_is_called_in_a_real_scan_without_one(real_ct, networks, scan):
    folder = real_ct.parent / scan
    if not folder.is_dir():
        pytest.skip(f"the real scan is not at {folder}; set CSPINE_REAL_CT to its neighbour")
    pair, predictor = networks
    predictions = predictor.predict(read_series(folder))
    verdict = judge(score_study(predictions), pair)
    assert verdict.calls.patient is not True, verdict.to_json()
    assert verdict.score is not None
    levels = read_levels(folder)
    if levels is not None:
        found = presence_auc(predictions.vertebra_probs, levels[list(VERTEBRAE)].to_numpy() == 1)
        assert found["pooled"] > 0.5
