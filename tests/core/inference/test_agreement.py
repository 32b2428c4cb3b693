from __future__ import annotations

import numpy as np
import pytest

from core.inference.agreement import agreement, opinion
from core.inference.reading import read_study
from core.models.bundles import BundleConfig, BundleInfo
from core.models.pairs import BundlePair
from core.types import SlicePredictions


def pair(name, type, patient, vertebra):
    def bundle(task, type, points):
        config = BundleConfig(
            name=name, task=task, type=type, backbone="googlenet", size=64, crop=1.0,
            window_center=400, window_width=1800, weights_sha256="0" * 64, parameters=1,
            trained_on={}, created="",
        )  # fmt: skip
        return BundleInfo(folder=None, config=config, operating_points=points)

    points = {"patient": {"threshold": patient}, "vertebra": {"threshold": vertebra}}
    return BundlePair(bundle("vertebra", 1, None), bundle("fracture", type, points))


def reading(probs, unseen=()):
    presence = np.eye(7, dtype=np.float32)
    for j in unseen:
        presence[j, j] = 0
    fracture = np.diag(probs).astype(np.float32)
    return read_study(SlicePredictions("1", np.arange(7.0)[::-1], presence, fracture, 2))


def test_each_opinion_uses_its_own_thresholds():
    study = reading([0.5, 0, 0, 0, 0, 0, 0])
    strict, lenient = opinion(study, pair("a", 2, 0.9, 0.9)), opinion(study, pair("b", 3, 0.5, 0.5))
    assert (strict.patient, strict.vertebrae[0]) == (False, False)
    assert (lenient.patient, lenient.vertebrae[0]) == (True, True)
    found = agreement([strict, lenient])
    assert not found.unanimous
    assert found.patient_votes == 1
    assert found.disputed == ("C1",)


def test_a_vertebra_that_only_some_saw_is_disputed_among_those_only():
    one = opinion(reading([0.9, 0, 0, 0, 0, 0, 0.9], unseen=[6]), pair("a", 2, 0.5, 0.5))
    other = opinion(reading([0.9, 0, 0, 0, 0, 0, 0.9]), pair("b", 3, 0.5, 0.5))
    found = agreement([one, other])
    assert found.vertebra_votes[0] == (2, 2)
    assert found.vertebra_votes[6] == (1, 1)
    assert found.unanimous
    assert found.disputed == ()


def test_no_opinion_is_no_agreement():
    with pytest.raises(ValueError, match="at least one"):
        agreement([])
