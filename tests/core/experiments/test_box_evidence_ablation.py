"""Three methods for the same boxes, each fitted on one cohort and measured on others."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.evaluation.tables.truth_table import TruthTable
from core.experiments.box_evidence_ablation import (
    SCORED_LEVELS,
    FitStudy,
    compare_methods,
    fit_weights,
)
from core.inference.aggregation import aggregate
from core.inference.boxes.evidence import box_outputs
from core.types import RawDetections, SlicePredictions

N_SLICES = 12


def drawn(count, seed):
    """Studies of C3 and C4 that share slices 5 and 6; boxes score higher where one is fractured."""
    rng = np.random.default_rng(seed)
    presence = np.zeros((N_SLICES, 7), np.float32)
    presence[:7, 2] = presence[5:, 3] = 1.0
    studies, labels = [], np.zeros((count, 7), bool)
    for number in range(count):
        labels[number, 2:4] = rng.uniform(size=2) < 0.4
        slices, scores, boxes = [], [], []
        for vertebra, first in ((2, 3), (3, 6)):
            sure = rng.beta(4, 2) if labels[number, vertebra] else rng.beta(2, 4)
            rows = np.arange(first, first + 4)
            slices += rows.tolist()
            scores += np.clip(sure + rng.normal(0, 0.05, 4), 0.06, 0.99).tolist()
            boxes += [[20.0 * vertebra, 0, 20.0 * vertebra + 10, 10]] * 4
        raw = RawDetections(
            study_id=f"study {number:03d}", slice_index=np.array(slices), xyxy=np.array(boxes),
            scores=np.array(scores), source=np.zeros(8, np.int64), n_sources=1,
            z_mm=-np.arange(float(N_SLICES)), models=("boxes",),
        )  # fmt: skip
        seen = SlicePredictions(
            study_id=raw.study_id, z_mm=raw.z_mm, vertebra_probs=presence,
            fracture_probs=np.zeros((N_SLICES, 7), np.float32), fracture_type=2,
            instance_numbers=tuple(range(N_SLICES)), models=("vertebrae",),
        )  # fmt: skip
        studies.append(FitStudy(raw, seen, (presence > 0.5) & labels[number]))
    return studies, labels


def truth_of(studies, labels):
    return TruthTable(
        study_ids=np.array([one.raw.study_id for one in studies]),
        fractured=labels,
        offsets=np.arange(len(studies) + 1) * N_SLICES,
        presence=np.concatenate([one.seen.vertebra_probs > 0.5 for one in studies]),
    )


@pytest.mark.slow
def test_the_last_method_is_the_shipped_one_and_owners_distinguish_neighbours():
    (fitted, _), (others, labels) = drawn(120, 1), drawn(120, 2)
    pairs = [(one.raw, one.seen) for one in others]
    rows = compare_methods(fitted, {"new": (pairs, truth_of(others, labels))})
    assert [set(row["new"]) for row in rows] == [set(SCORED_LEVELS)] * 3
    weights = fit_weights(fitted)
    scores = [aggregate(box_outputs(raw, seen, weights)).vertebra_probs for raw, seen in pairs]
    expected = roc_auc_score(labels.ravel(), np.concatenate(scores))
    assert rows[-1]["new"]["vertebra"] == pytest.approx(expected, abs=2e-3)
    assert rows[-1]["new"]["vertebra"] > rows[1]["new"]["vertebra"] > 0.5
    assert weights.owner_power > 0
