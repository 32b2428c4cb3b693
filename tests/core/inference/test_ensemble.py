"""Combined scores against hand tables, ranks by scipy, and the laws that any ensemble keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from core.errors import PredictionsError
from core.inference.ensemble import (
    Combination,
    RankReference,
    combination_of,
    combine,
    combine_outputs,
    combine_predictions,
)
from core.models.ensemble_recipe import METHODS, EnsembleMember, EnsembleRecipe
from core.types import SlicePredictions


def made(method, weights, seed=0, intercept=0.0):
    rng = np.random.default_rng(seed)
    references = tuple(RankReference.of(rng.random(300) ** (m + 1)) for m in range(len(weights)))
    return Combination(method, tuple(weights), intercept, references if method == "rank" else ())


@pytest.mark.parametrize(
    ("method", "weights", "intercept", "wanted"),
    [
        # Log odds of 0.2 and 0.8 are -log 4 and log 4; of 0.5, 0.
        ("log_odds", (1.0, 1.0), 0.0, 0.5),
        ("log_odds", (3.0, 1.0), 0.0, 1 / 3),
        ("log_odds", (0.0, 2.0), 0.0, 0.8),
        ("stacking", (1.0, 2.0), 0.0, 0.8),
        ("stacking", (1.0, 1.0), np.log(3.0), 0.75),
        ("stacking", (0.0, 0.0), np.log(3.0), 0.75),
    ],
)
def test_a_worked_example(method, weights, intercept, wanted):
    scores = [np.array([0.2]), np.array([0.8])]
    assert combine(scores, Combination(method, weights, intercept)) == pytest.approx([wanted])


def test_a_rank_is_the_share_below_and_its_inverse_gives_the_score_back():
    rng = np.random.default_rng(1)
    scores = rng.random(2000)
    reference = RankReference.of(scores)
    wanted = (rankdata(scores) - 0.5) / len(scores)
    np.testing.assert_allclose(reference.rank(scores), wanted, atol=2e-3)
    np.testing.assert_allclose(reference.score(reference.rank(scores)), scores, atol=1e-9)
    assert reference.rank(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_equal_scores_share_their_middle_rank():
    # Half of the scores are 0.5, a quarter below and a quarter above.
    scores = np.concatenate([np.linspace(0.1, 0.2, 250), np.full(500, 0.5), np.full(250, 0.9)])
    reference = RankReference.of(scores)
    assert reference.rank(np.array([0.5, 0.9])) == pytest.approx([0.5, 0.875], abs=1e-2)
    assert reference.score(np.array([0.5])) == pytest.approx([0.5])


def test_a_rank_mean_of_two_scales_by_hand():
    # Even quantiles of 0..1 and of 0..0.1: a score ranks s and 10 s.
    even = RankReference(tuple((np.arange(100) + 0.5) / 100))
    small = RankReference(tuple((np.arange(100) + 0.5) / 1000))
    found = combine(
        [np.array([0.2]), np.array([0.06])],
        Combination("rank", (1.0, 1.0), references=(even, small)),
    )
    # The ranks 0.2 and 0.6 have the mean 0.4, at which the models score 0.4 and 0.04.
    assert found == pytest.approx([0.22], abs=1e-9)


@pytest.mark.parametrize("method", ["log_odds", "rank"])
def test_one_weight_gives_that_model_to_the_last_digit(method):
    scores = [np.random.default_rng(k).random((5, 7)).astype(np.float32) for k in range(3)]
    found = combine(scores, made(method, (0.0, 0.7, 0.0)))
    assert np.array_equal(found, scores[1].astype(np.float64))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(METHODS), st.integers(0, 999), st.integers(2, 4))
def test_an_ensemble_rises_with_its_models_and_ignores_their_order(method, seed, m):
    rng = np.random.default_rng(seed)
    weights = rng.random(m)
    combination = made(method, weights, seed, intercept=-0.3 if method == "stacking" else 0.0)
    scores = rng.random((m, 20))
    found = combine(list(scores), combination)
    assert ((found >= 0) & (found <= 1)).all()
    more = np.minimum(scores + rng.random((m, 1)) * 0.2, 1.0)
    assert (combine(list(more), combination) >= found - 1e-12).all()

    order = rng.permutation(m)
    turned = Combination(
        method, tuple(weights[order]), combination.intercept,
        tuple(combination.references[k] for k in order) if method == "rank" else (),
    )  # fmt: skip
    np.testing.assert_allclose(combine(list(scores[order]), turned), found, atol=1e-12)


def test_outputs_keep_a_shared_presence_and_mix_types():
    rng = np.random.default_rng(2)
    v = rng.random((6, 7)).astype(np.float32)
    f = [rng.random((6, 1)).astype(np.float32), rng.random((6, 7)).astype(np.float32)]
    equal = made("log_odds", (1.0, 1.0))
    presence, fracture, kind = combine_outputs([v, v], f, [1, 2], equal)
    assert np.array_equal(presence, v)
    assert fracture.shape == (6, 7)
    assert kind == 2
    assert combine_outputs([v, v], f, [1, 2], made("log_odds", (1.0, 0.0)))[2] == 1
    assert combine_outputs([v, v], f[1:] * 2, [4, 4], equal)[2] == 4
    assert combine_outputs([v, v], f[1:] * 2, [2, 4], equal)[2] == 4
    assert combine_outputs([v, v], f[1:] * 2, [2, 4], made("log_odds", (1.0, 0.0)))[2] == 2
    other, _, _ = combine_outputs([v, v / 2], f, [2, 3], made("log_odds", (3.0, 1.0)))
    np.testing.assert_allclose(other, 0.875 * v, atol=1e-6)


def test_predictions_keep_slices_and_the_first_distribution_score():
    n = 4
    one = SlicePredictions(
        "1.2", -np.arange(n, dtype=float), np.ones((n, 7), np.float32),
        np.full((n, 7), 0.2, np.float32), 2, (1, 2, 3, 4), ("v", "a"), 0.4,
    )  # fmt: skip
    other = SlicePredictions("1.2", one.z_mm, one.vertebra_probs, 1 - one.fracture_probs, 2)
    found = combine_predictions([one, other], made("log_odds", (1.0, 1.0)), ("v", "both"))
    np.testing.assert_allclose(found.fracture_probs, 0.5, atol=1e-6)
    assert (found.models, found.distribution_score) == (("v", "both"), 0.4)
    assert found.instance_numbers == (1, 2, 3, 4)


def test_a_stored_recipe_gives_its_combination_back():
    quantiles = RankReference.of(np.linspace(0, 1, 50)).quantiles
    members = tuple(
        EnsembleMember(
            name=name, folder=name, config_sha256="0" * 64, weight=weight, quantiles=quantiles
        )
        for name, weight in (("a", 0.25), ("b", 0.75))
    )
    recipe = EnsembleRecipe(method="rank", members=members)
    again = EnsembleRecipe.model_validate_json(recipe.model_dump_json())
    scores = [np.array([0.1, 0.6]), np.array([0.3, 0.2])]
    wanted = Combination("rank", (0.25, 0.75), references=(RankReference(quantiles),) * 2)
    assert np.array_equal(combine(scores, combination_of(again)), combine(scores, wanted))
    assert "rank mean of a (0.25), b (0.75)" in recipe.described


@pytest.mark.parametrize(
    ("method", "weights", "words"),
    [
        ("median", (1.0, 1.0), "no method"),
        ("log_odds", (1.0, -1.0), "0 or above"),
        ("log_odds", (0.0, 0.0), "not all 0"),
        ("log_odds", (1.0, np.nan), "not a number"),
        ("rank", (1.0, 1.0), "reference"),
    ],
)
def test_wrong_weights_are_refused_in_a_sentence(method, weights, words):
    with pytest.raises(PredictionsError, match=words):
        Combination(method, weights)
    with pytest.raises(PredictionsError, match="do not fit"):
        combine([np.zeros(1)], made("log_odds", (1.0, 1.0)))
