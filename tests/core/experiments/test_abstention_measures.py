from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.experiments.abstention_measures import abstention_figures
from core.inference.study_scores import score_study
from tests.core.inference.test_study_scores import two_vertebrae
from tests.core.inference.test_verdict import pair, region


def test_the_figures_count_calls_and_coverage():
    calls = pair(region(0.1, 0.2))
    studies = [score_study(replace(two_vertebrae(), distribution_score=s)) for s in (0.5, 0.7, 2)]
    found = abstention_figures(studies, np.array([True, False, True]), calls)
    assert found == {
        "studies": 3, "fractured": 2, "out_of_distribution": 1, "implausible_levels": 0,
        "uncertain": 0, "certain": 2, "certain_and_right": 1, "stated_coverage": 0.9, "covered": 2,
        "covered_fractured": 2, "covered_not_fractured": 0,
    }  # fmt: skip


def test_predictions_without_a_score_count_as_unknown():
    found = abstention_figures([score_study(two_vertebrae())], np.array([True]), pair())
    assert found["out_of_distribution"] is None
    assert "covered" not in found
