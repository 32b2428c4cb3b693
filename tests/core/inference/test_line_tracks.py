"""Tracks of lines along a study: where they lie, whose they are, and what they do to f_ij."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import TrainingError
from core.inference.boxes.evidence import NO_BOX
from core.inference.line_tracks import fit_tracks, line_evidence, with_tracks
from core.models.bundles import BoxWeights

WEIGHTS = BoxWeights(owner_power=2.0, score_power=1.0, local=0.5, vertebra=1.0, intercept=-0.3)


def study(n=20, *, fractured=(), level=0.02):
    """Vertebra j in view on slices 2j..2j+5, with lines on the given slices."""
    presence = np.zeros((n, 7), np.float32)
    for j in range(7):
        presence[2 * j : 2 * j + 6, j] = 1.0
    fracture = np.full((n, 7), level, np.float32)
    for index, value in fractured:
        fracture[index] = value
    return fracture, presence


def test_a_track_spans_the_slices_down_to_half_of_its_peak():
    lines = [(5, 0.3), (6, 0.5), (7, 0.9), (8, 0.46), (9, 0.2)]
    found = line_evidence(*study(fractured=lines))
    assert found.tracks[0] == pytest.approx((0.9 + 0.5 + 0.46) / 3)
    # Slices 6..8: C2 (2..7) on two of them, C3 (4..9) and C4 (6..11) on three.
    in_view = np.array([0.0, 0.5 + 0.9, 0.5 + 0.9 + 0.46, 0.5 + 0.9 + 0.46, 0.46, 0, 0])
    np.testing.assert_allclose(found.owners[0], in_view / in_view.max(), rtol=1e-6)
    np.testing.assert_allclose(found.slices[7], 0.9)


def test_a_single_slice_counts_a_third_of_three():
    alone = line_evidence(*study(level=0.0, fractured=[(7, 0.9)]))
    assert alone.tracks[0] == pytest.approx(0.3)
    assert len(alone.tracks) == 1
    assert alone.slices.min() == NO_BOX


def test_two_lines_apart_are_two_tracks():
    lines = [(3, 0.8), (4, 0.8), (12, 0.6), (13, 0.6)]
    found = line_evidence(*study(level=0.0, fractured=lines))
    np.testing.assert_allclose(found.tracks, [1.6 / 3, 1.2 / 3], rtol=1e-6)
    assert found.owners[0][:2].tolist() == [1.0, 1.0]
    assert found.owners[1][6] == 1.0


def test_a_study_without_any_line_has_no_track():
    fracture, presence = study(level=0.0)
    found = line_evidence(fracture, presence)
    assert found.tracks.shape == (0,)
    assert found.owners.shape == (0, 7)
    assert np.isfinite(with_tracks(fracture, presence, WEIGHTS, shared=False)).all()


def test_the_combination_is_its_formula():
    fracture, presence = study(level=0.0, fractured=[(6, 0.4), (7, 0.8), (8, 0.6)])
    found = with_tracks(fracture, presence, WEIGHTS, shared=False)
    track = (0.4 + 0.8 + 0.6) / 3
    owner = np.array([0, 1.2, 1.8, 1.8, 0.6, 0, 0]) / 1.8
    e = np.clip(track * owner**2, NO_BOX, 1 - NO_BOX)
    f = np.clip(fracture.astype(np.float64), 1e-6, 1 - 1e-6)
    logits = -0.3 + 0.5 * np.log(f / (1 - f)) + np.log(e / (1 - e))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_a_type_one_network_keeps_one_value_per_slice():
    fracture, presence = study(fractured=[(6, 0.4), (7, 0.8), (8, 0.6)])
    found = with_tracks(fracture, presence, WEIGHTS, shared=True)
    assert (found == found[:, :1]).all()
    assert found[7, 0] > found[19, 0]


def cohort(rng, n):
    """Fractured studies show a line on three slices of C4, which is then fractured."""
    made = []
    for k in range(n):
        lines = [(i, rng.uniform(0.3, 0.9)) for i in (7, 8, 9)] if k % 2 else []
        fracture, presence = study(fractured=lines)
        fracture *= rng.uniform(0.5, 1.0, fracture.shape).astype(np.float32)
        target = np.zeros(presence.shape, bool)
        target[:, 3] = bool(k % 2)
        made.append((fracture, presence, target & (presence > 0)))
    return made


def test_the_fit_prefers_owners_and_raises_with_evidence():
    weights = fit_tracks(cohort(np.random.default_rng(0), 16), shared=False)
    assert weights.vertebra > 0
    assert weights.local >= 0
    fracture, presence, target = cohort(np.random.default_rng(1), 2)[1]
    found = with_tracks(fracture, presence, weights, shared=False)
    assert found[target].min() > found[:, 0][presence[:, 0] > 0].max()


def test_one_class_is_refused():
    none = [(f, v, np.zeros_like(t)) for f, v, t in cohort(np.random.default_rng(0), 4)]
    with pytest.raises(TrainingError, match="one class"):
        fit_tracks(none, shared=False)
