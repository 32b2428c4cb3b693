"""A small made-up cohort that several tests look at: studies, truth and models."""

from __future__ import annotations

import numpy as np

from core.evaluation.tables.evaluation_set import EvaluationSet, align
from core.evaluation.tables.score_table import ScoreTable, table_from_predictions
from core.evaluation.tables.truth import StudyTruth
from core.evaluation.tables.truth_table import TruthTable, truth_table
from core.types import SlicePredictions


def predictions(n: int = 12, fracture_type: int = 2, seed: int = 0) -> list[SlicePredictions]:
    """Studies 1.2.0 … of 6 to 11 slices whose scores follow `truths(n)` a little."""
    rng = np.random.default_rng(seed)
    studies = []
    for truth in truths(n):
        presence = np.asarray(truth.presence)
        v = 0.4 * presence + 0.6 * rng.random(presence.shape)
        shown = presence & truth.fractured
        if fracture_type == 1:
            shown = np.repeat(shown.any(axis=1, keepdims=True), 7, axis=1)
            noise = np.repeat(rng.random((len(v), 1)), 7, axis=1)
        else:
            noise = rng.random(v.shape)
        f = 0.4 * shown + 0.6 * noise
        studies.append(
            SlicePredictions(
                truth.study_id, -np.arange(len(v), dtype=float), v.astype(np.float32),
                f.astype(np.float32), fracture_type,
            )
        )  # fmt: skip
    return studies


def truths(n: int = 12) -> list[StudyTruth]:
    """Two of three studies break a vertebra."""
    found = []
    for k in range(n):
        n_slices = 6 + k % 6
        presence = np.zeros((n_slices, 7), bool)
        presence[np.arange(n_slices), np.arange(n_slices) % 7] = True
        fractured = np.zeros(7, bool)
        if k % 3:
            fractured[[k % 7, (k * k) % 7]] = True
        found.append(StudyTruth(f"1.2.{k}", fractured, presence))
    return found


def model(name: str = "a", n: int = 12, fracture_type: int = 2, seed: int = 0) -> ScoreTable:
    return table_from_predictions(name, predictions(n, fracture_type, seed))


def table(n: int = 12) -> TruthTable:
    return truth_table(truths(n))


def cohort(n: int = 12, models: int = 1) -> EvaluationSet:
    return align([model("abcdef"[k], n, seed=k) for k in range(models)], table(n))
