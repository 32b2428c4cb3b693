import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.training.losses import LOSSES, WeightedBCE


def _reference(logits, targets, negative, positive):
    """The weighted mean in float64, from -log(sigmoid) written so that it cannot overflow."""
    z, y = logits.astype(np.float64), targets.astype(np.float64)
    bce = y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)
    weights = np.where(y == 1, positive, negative)
    return (weights * bce).sum() / weights.sum()


logit_arrays = hnp.arrays(
    np.float32, (4, 7), elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
)


@given(logit_arrays, hnp.arrays(np.bool_, (4, 7)), st.sampled_from(["vertebra", "fracture"]))
def test_agrees_with_float64_numpy_also_for_extreme_logits(logits, truth, task):
    loss = LOSSES[task]
    targets = truth.astype(np.float32)
    value = loss(torch.from_numpy(logits), torch.from_numpy(targets)).item()
    expected = _reference(logits, targets, loss.negative, loss.positive)
    assert value == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("logit", [-1e30, -300.0, 300.0, 1e30])
def test_loss_and_gradient_stay_finite_at_extreme_logits(logit):
    logits = torch.tensor([[logit], [logit]], requires_grad=True)
    loss = LOSSES["fracture"](logits, torch.tensor([[0.0], [1.0]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_a_hand_worked_case():
    # log 2 = 0.6931 and log(1 + e^-1) = 0.3133: (14 * 0.6931 + 7 * 0.3133) / 21
    value = LOSSES["fracture"](torch.tensor([[0.0], [-1.0]]), torch.tensor([[1.0], [0.0]]))
    assert value.item() == pytest.approx((14 * 0.693147 + 7 * 0.313262) / 21, abs=1e-6)


def test_weights_are_those_of_the_method():
    assert LOSSES["vertebra"] == WeightedBCE(negative=1.0, positive=2.0)
    assert LOSSES["fracture"] == WeightedBCE(negative=7.0, positive=14.0)


def test_sums_over_batches_give_the_mean_over_everything():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(10, 7, generator=generator)
    targets = (torch.rand(10, 7, generator=generator) < 0.2).float()
    loss = LOSSES["vertebra"]
    parts = [loss.sums(logits[a:b], targets[a:b]) for a, b in ((0, 3), (3, 10))]
    total = sum(part[0] for part in parts) / sum(part[1] for part in parts)
    torch.testing.assert_close(total, loss(logits, targets))


def test_half_precision_logits_are_summed_in_float32():
    value = LOSSES["vertebra"](torch.zeros(3, 7, dtype=torch.bfloat16), torch.zeros(3, 7))
    assert value.dtype == torch.float32


def test_different_shapes_are_refused_instead_of_broadcast():
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(3, 7\)"):
        LOSSES["fracture"](torch.zeros(3, 1), torch.zeros(3, 7))
