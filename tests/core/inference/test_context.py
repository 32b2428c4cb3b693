import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from core.errors import TrainingError
from core.inference.context import context_features, fit_context, in_context
from core.models.bundles import VertebraContext


def _odds(p):
    return np.log(p / (1 - p))


def test_a_worked_example():
    f = np.full((3, 7), 0.5, np.float32)
    v = np.zeros((3, 7), np.float32)
    f[:, 0], v[:, 0] = [0.2, 0.8, 0.6], [1.0, 1.0, 0.5]
    context = VertebraContext(top_k=2, local=0.5, vertebra=2.0, intercept=-1.0)
    vertebra = _odds((0.8 + 0.3) / 2)
    expected = -1.0 + 0.5 * _odds(np.array([0.2, 0.8, 0.6])) + 2.0 * vertebra
    made = in_context(f, v, context, shared=False)
    np.testing.assert_allclose(_odds(made[:, 0].astype(np.float64)), expected, atol=1e-5)


def test_type_1_columns_stay_equal_and_blend_the_vertebrae_in_view():
    f = np.repeat(np.array([[0.1], [0.9], [0.4]], np.float32), 7, axis=1)
    v = np.zeros((3, 7), np.float32)
    v[0, 0] = v[1, 0] = v[1, 1] = v[2, 1] = 1.0
    context = VertebraContext(top_k=1, local=0.0, vertebra=1.0, intercept=0.0)
    made = in_context(f, v, context, shared=True)
    assert (made == made[:, :1]).all()
    np.testing.assert_allclose(made[:, 0], 0.9, atol=1e-6)


def test_a_slice_without_vertebra_and_a_single_slice_stay_probabilities():
    context = VertebraContext(top_k=5, local=1.0, vertebra=1.0, intercept=0.0)
    for shared in (True, False):
        made = in_context(
            np.zeros((1, 7), np.float32), np.zeros((1, 7), np.float32), context, shared=shared
        )
        assert ((made >= 0) & (made <= 1)).all()


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 9), st.booleans())
def test_more_fracture_never_lowers_any_probability(seed, top_k, shared):
    rng = np.random.default_rng(seed)
    f, v = rng.random((2, 8, 7)).astype(np.float32)
    if shared:
        f = np.repeat(f[:, :1], 7, axis=1)
    context = VertebraContext(top_k=top_k, local=0.7, vertebra=1.3, intercept=-0.4)
    more = np.minimum(f + 0.1, 1).astype(np.float32)
    before, after = (in_context(one, v, context, shared=shared) for one in (f, more))
    assert (after >= before - 1e-6).all()


def _made_studies(rng, count, shared):
    """Vertebra 3 shows its line in two of eight slices when it is fractured."""
    studies = []
    for number in range(count):
        y = np.zeros((8, 7), bool)
        f = rng.beta(1, 8, (8, 7)).astype(np.float32)
        v = np.zeros((8, 7), np.float32)
        v[:, 3] = 1.0
        if number % 2:
            y[:, 3] = True
            f[2:4, 3] = rng.uniform(0.4, 1.0, 2)
        if shared:
            f = np.repeat(f[:, 3:4], 7, axis=1)
        studies.append((f, v, y))
    return studies


@pytest.mark.parametrize("shared", [False, True])
def test_fit_finds_slices_of_a_fractured_vertebra_that_show_no_line(shared):
    rng = np.random.default_rng(0)
    context = fit_context(_made_studies(rng, 40, shared), top_k=2, shared=shared)
    assert context.vertebra > 0
    truth, before, after = [], [], []
    for f, v, y in _made_studies(rng, 40, shared):
        truth.append(y[:, 3])
        before.append(f[:, 3])
        after.append(in_context(f, v, context, shared=shared)[:, 3])
    truth, before, after = map(np.concatenate, (truth, before, after))
    assert roc_auc_score(truth, after) > 0.95 > roc_auc_score(truth, before)
    assert abs(after.mean() - truth.mean()) < 0.05


@pytest.mark.parametrize("shared", [False, True])
def test_scores_that_speak_against_the_truth_leave_its_base_rate(shared):
    studies = []
    for f, v, y in _made_studies(np.random.default_rng(0), 40, shared):
        # Only a quarter of the studies is fractured, and the low scores are theirs.
        broken = bool(y.any()) and len(studies) % 4 == 1
        f = np.full_like(f, 0.05 if broken else 0.9)
        studies.append((f, v, np.where(y, broken, False)))
    context = fit_context(studies, top_k=2, shared=shared)
    assert (context.local, context.vertebra) == (0.0, 0.0)
    f, v, _ = studies[0]
    np.testing.assert_allclose(in_context(f, v, context, shared=shared), 0.25, atol=1e-4)


def test_a_slope_that_turns_negative_alone_is_left_out_as_well():
    # Together s_j is the one that falls; alone, l_ij would fall too.
    rng = np.random.default_rng(3)
    for _ in range(20):
        studies = [
            (f, np.ones((6, 7), np.float32), rng.random((6, 7)) < 0.6 - 0.4 * f)
            for f in rng.random((8, 6, 7)).astype(np.float32)
        ]
        context = fit_context(studies, top_k=2, shared=False)
        assert min(context.local, context.vertebra) >= 0
        truth = np.mean([y.mean() for _, _, y in studies])
        made = [in_context(f, v, context, shared=False).mean() for f, v, _ in studies]
        assert np.mean(made) == pytest.approx(truth, abs=0.02)


def test_one_class_cannot_be_fitted():
    studies = _made_studies(np.random.default_rng(0), 1, shared=False)
    with pytest.raises(TrainingError, match="one class"):
        fit_context(studies, top_k=2, shared=False)
    with pytest.raises(TrainingError, match="one class"):
        fit_context([], top_k=2, shared=False)


def test_features_of_fewer_slices_than_k():
    f = np.full((2, 7), 0.25, np.float32)
    local, vertebra = context_features(f, np.ones((2, 7), np.float32), 5, shared=False)
    np.testing.assert_allclose(local, vertebra)
