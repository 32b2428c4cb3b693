import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.errors import ConfigError
from core.training.losses import WeightedBCE, loss_for

MODELS = [("vertebra", 1), ("vertebra", 2), ("fracture", 1), ("fracture", 2), ("fracture", 3)]
OUTPUTS = {("fracture", 1): 1, ("fracture", 3): 14}


def _weighted_mean(logits, truth, negative, positive):
    """In float64: a truth t is a truth of 1 with probability t and of 0 with 1 - t."""
    z, t = logits.astype(np.float64), truth.astype(np.float64)
    as_one, as_zero = np.logaddexp(0, -z), np.logaddexp(0, z)
    total = (positive * t * as_one + negative * (1 - t) * as_zero).sum()
    return total / (positive * t + negative * (1 - t)).sum()


def _reference(task, kind, alpha, logits, presence, fractured):
    if task == "vertebra":
        return _weighted_mean(logits, presence, 1, 2)
    if kind == 1:
        return _weighted_mean(logits, fractured.max(axis=1, keepdims=True), 7, 14)
    if kind == 2:
        return _weighted_mean(logits, fractured, 1, 2)
    of_fracture = _weighted_mean(logits[:, :7], fractured, 1, 2)
    return alpha * of_fracture + _weighted_mean(logits[:, 7:], presence, 1, 2)


def _tensors(*arrays):
    return [torch.from_numpy(np.asarray(array, dtype=np.float32)) for array in arrays]


logit_arrays = hnp.arrays(
    np.float32, (4, 14), elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
)
presence_arrays = hnp.arrays(
    np.float32, (4, 7), elements=st.sampled_from([0.0, 0.25, 0.5, 0.875, 1.0])
)


@settings(max_examples=40)
@given(
    st.sampled_from(MODELS),
    logit_arrays,
    presence_arrays,
    hnp.arrays(np.bool_, 7),
    st.sampled_from([0.5, 2.0, 10.0]),
)
def test_every_loss_agrees_with_float64_numpy(model, logits, presence, patient, alpha):
    logits = logits[:, : OUTPUTS.get(model, 7)]
    fractured = presence * patient
    value = loss_for(*model, alpha)(*_tensors(logits, presence, fractured)).item()
    expected = _reference(*model, alpha, logits, presence, fractured)
    assert value == pytest.approx(expected, rel=2e-5, abs=1e-6)


@pytest.mark.parametrize("logit", [-1e30, -300.0, 300.0, 1e30])
def test_loss_and_gradient_stay_finite_at_extreme_logits(logit):
    logits = torch.full((2, 14), logit, requires_grad=True)
    presence = torch.tensor([[0.0] * 7, [1.0] * 7])
    loss = loss_for("fracture", 3)(logits, presence, presence)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_a_hand_worked_slice_loss():
    # log 2 = 0.6931 and log(1 + e^-1) = 0.3133: (14 * 0.6931 + 7 * 0.3133) / 21
    fractured = torch.zeros(2, 7)
    fractured[0, 3] = 1
    value = loss_for("fracture", 1)(torch.tensor([[0.0], [-1.0]]), fractured, fractured)
    assert value.item() == pytest.approx((14 * 0.693147 + 7 * 0.313262) / 21, abs=1e-6)


def test_a_hand_worked_multi_task_loss():
    # All fracture logits are 0 (log 2 each), all presence logits are right by far (0).
    presence = torch.ones(1, 7)
    logits = torch.cat([torch.zeros(1, 7), torch.full((1, 7), 40.0)], dim=1)
    value = loss_for("fracture", 3, 2.0)(logits, presence, torch.zeros(1, 7))
    assert value.item() == pytest.approx(2 * 0.693147, abs=1e-6)


def test_weights_are_those_of_the_method():
    of_vertebra, of_slice = WeightedBCE(1.0, 2.0), WeightedBCE(7.0, 14.0)
    found = {model: [term.bce for term in loss_for(*model).terms] for model in MODELS}
    assert found[("fracture", 1)] == [of_slice]
    assert found[("fracture", 3)] == [of_vertebra, of_vertebra]
    assert found[("vertebra", 1)] == found[("vertebra", 2)] == found[("fracture", 2)]
    assert found[("vertebra", 1)] == [of_vertebra]
    assert [term.factor for term in loss_for("fracture", 3).terms] == [2.0, 1.0]


def test_an_uncertain_truth_is_weighted_by_its_two_outcomes():
    # The minimum of 2 t log(1/p) + (1 - t) log(1/(1 - p)) lies at p = 2 t / (1 + t).
    t = 0.25
    logit = torch.zeros(1, 7, requires_grad=True)
    optimizer = torch.optim.SGD([logit], lr=20.0)
    for _ in range(200):
        optimizer.zero_grad()
        loss_for("vertebra", 1)(logit, torch.full((1, 7), t), torch.zeros(1, 7)).backward()
        optimizer.step()
    assert torch.sigmoid(logit).detach().numpy() == pytest.approx(2 * t / (1 + t), abs=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_sums_over_batches_give_the_loss_over_everything(model):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(10, OUTPUTS.get(model, 7), generator=generator)
    presence = torch.rand(10, 7, generator=generator)
    fractured = presence * (torch.rand(10, 7, generator=generator) < 0.2)
    loss = loss_for(*model)
    parts = [loss.sums(logits[a:b], presence[a:b], fractured[a:b]) for a, b in ((0, 3), (3, 10))]
    combined = loss.combine(sum(part[0] for part in parts), sum(part[1] for part in parts))
    torch.testing.assert_close(combined, loss(logits, presence, fractured))


@pytest.mark.parametrize("model", MODELS)
def test_the_targets_stand_beside_the_logits(model):
    presence = torch.tensor([[1.0, 1, 0, 0, 0, 0, 0.5]])
    fractured = torch.tensor([[0.0, 1, 0, 0, 0, 0, 0.0]])
    columns = {
        "vertebra": presence,
        ("fracture", 1): torch.ones(1, 1),
        ("fracture", 2): fractured,
        ("fracture", 3): torch.cat([fractured, presence], dim=1),
    }
    expected = columns.get(model, presence)
    assert torch.equal(loss_for(*model).targets(presence, fractured), expected)


def test_half_precision_logits_are_summed_in_float32():
    value = loss_for("vertebra", 1)(
        torch.zeros(3, 7, dtype=torch.bfloat16), torch.zeros(3, 7), torch.zeros(3, 7)
    )
    assert value.dtype == torch.float32


@pytest.mark.parametrize("model", MODELS)
def test_logits_of_another_model_are_refused_instead_of_broadcast(model):
    truth = torch.zeros(3, 7)
    for outputs in {1, 7, 14} - {OUTPUTS.get(model, 7)}:
        with pytest.raises(ValueError, match=r"Logits need the shape"):
            loss_for(*model)(torch.zeros(3, outputs), truth, truth)


def test_different_shapes_are_refused_instead_of_broadcast():
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(3, 7\)"):
        WeightedBCE(7.0, 14.0).sums(torch.zeros(3, 1), torch.zeros(3, 7))
    with pytest.raises(ValueError, match="one shape"):
        loss_for("vertebra", 1)(torch.zeros(3, 7), torch.zeros(2, 7), torch.zeros(2, 7))


@pytest.mark.parametrize(("task", "kind"), [("vertebra", 3), ("fracture", 4), ("spine", 1)])
def test_a_model_that_does_not_exist_has_no_loss(task, kind):
    with pytest.raises(ConfigError, match=f"no {task} model of type {kind}"):
        loss_for(task, kind)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_a_weight_that_is_not_above_zero_is_refused(alpha):
    with pytest.raises(ConfigError, match="alpha"):
        loss_for("fracture", 3, alpha)


def test_the_weighted_mean_is_the_sums_divided():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (5, 7)).astype(np.float32)
    truth = rng.integers(0, 2, (5, 7)).astype(np.float32)
    total, weight = WeightedBCE(7, 14).sums(*_tensors(logits, truth))
    assert float(total / weight) == pytest.approx(_weighted_mean(logits, truth, 7, 14), rel=1e-6)
