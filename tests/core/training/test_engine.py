import math
from functools import partial

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from core.errors import TrainingError
from core.prepared.slice_dataset import SliceBatch, SliceDataset
from core.prepared.slices import StudySlices
from core.training.batches import Batches
from core.training.early_stopping import EarlyStopping
from core.training.engine import GRADIENT_NORM_LIMIT, train_one_epoch
from core.training.losses import loss_for
from core.training.slice_engine import add_slice_gradients, measure_slices
from core.training.state import TrainingState

FABRIC = Fabric(accelerator="cpu", devices=1)
FRACTURE, VERTEBRA = loss_for("fracture", 1), loss_for("vertebra", 1)
LEARN = partial(add_slice_gradients, criterion=FRACTURE)


class _Linear(nn.Module):
    """uint8 (n, 4, 4) to logits; stands in for a network."""

    def __init__(self, outputs):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(16, outputs)

    def forward(self, images, metadata=None, presence=None):
        return self.layer(images.flatten(1).float() / 255)


class _Fixed(nn.Module):
    """Answers image k with row k of a table."""

    def __init__(self, table):
        super().__init__()
        self.table = torch.as_tensor(table)

    def forward(self, images, metadata=None, presence=None):
        return self.table[images[:, 0, 0].long()]


def _dataset(n=24, seed=0):
    rng = np.random.default_rng(seed)
    fractured = rng.random(n) < 0.5
    images = rng.integers(0, 60, (n, 4, 4), dtype=np.uint8)
    images[fractured, :2] += 150
    presence = np.zeros((n, 7), bool)
    presence[:, 0] = fractured
    labels = np.array([True] + [False] * 6)
    return SliceDataset([StudySlices(images, presence, labels, np.zeros(n), "a")], "fracture")


def _state(model, max_lr=0.05, steps=100):
    optimizer = torch.optim.SGD(model.parameters(), lr=max_lr)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.5, steps)
    wrapped, optimizer = FABRIC.setup(model, optimizer)
    return TrainingState(wrapped, optimizer, scheduler, FABRIC.strategy.precision)


def _batches(dataset, batch_size=8):
    return Batches(dataset, np.arange(len(dataset)), batch_size)


def test_epochs_bring_the_loss_down_and_the_area_up():
    dataset, state = _dataset(), _state(_Linear(1), max_lr=1.0)
    before = measure_slices(FABRIC, state.model, _batches(dataset), criterion=FRACTURE)
    for _ in range(20):
        train_one_epoch(FABRIC, state, _batches(dataset), LEARN, on_step=lambda _: False)
    after = measure_slices(FABRIC, state.model, _batches(dataset), criterion=FRACTURE)
    assert after.loss < before.loss / 2
    assert after.auc == 1.0


def test_each_step_is_reported_with_its_learning_rate():
    reports = []
    state = _state(_Linear(1))
    train_one_epoch(
        FABRIC, state, _batches(_dataset()), LEARN,
        on_step=lambda report: bool(reports.append(report)),
    )  # fmt: skip
    assert [report.step for report in reports] == [1, 2, 3] == [report.batch for report in reports]
    rates = [report.learning_rate for report in reports]
    assert rates[0] == 0.05
    assert rates == sorted(rates, reverse=True)
    assert all(report.images_per_second > 0 for report in reports)
    assert all(0 <= report.loader_wait_share <= 1 for report in reports)


def test_listener_can_end_the_epoch():
    state = _state(_Linear(1))
    train_one_epoch(FABRIC, state, _batches(_dataset()), LEARN, on_step=lambda r: r.step == 2)
    assert state.step == 2


def test_a_loss_that_is_not_finite_names_the_batch_and_leaves_the_weights():
    class Diverges(_Linear):
        calls = 0

        def forward(self, images, metadata=None, presence=None):
            self.calls += 1
            return super().forward(images) * (math.nan if self.calls == 2 else 1)

    state = _state(Diverges(1))
    state.epoch, state.step = 3, 30
    with pytest.raises(TrainingError, match=r"batch 2 in epoch 4 \(step 32\).*`max_lr`"):
        train_one_epoch(FABRIC, state, _batches(_dataset()), LEARN, on_step=lambda _: False)
    assert state.step == 31
    assert all(torch.isfinite(p).all() for p in state.model.parameters())


def test_gradients_are_clipped_to_their_norm():
    class Steep(_Linear):
        def forward(self, images, metadata=None, presence=None):
            return super().forward(images) * 1e6

    state = _state(Steep(1), max_lr=1.0)
    before = torch.cat([p.detach().flatten().clone() for p in state.model.parameters()])
    train_one_epoch(FABRIC, state, _batches(_dataset(), 24), LEARN, on_step=lambda _: True)
    after = torch.cat([p.detach().flatten() for p in state.model.parameters()])
    assert (after - before).norm().item() == pytest.approx(GRADIENT_NORM_LIMIT, rel=1e-3)


def test_epoch_trains_in_training_mode_and_evaluation_leaves_no_gradients():
    state = _state(_Linear(1))
    measure_slices(FABRIC, state.model, _batches(_dataset()), criterion=FRACTURE)
    assert not state.model.training
    assert all(p.grad is None for p in state.model.parameters())
    train_one_epoch(FABRIC, state, _batches(_dataset()), LEARN, on_step=lambda _: True)
    assert state.model.training


def _numbered(presence, fractured=None, batch_size=4):
    """Batches whose image k is filled with k, for `_Fixed`."""
    presence = torch.as_tensor(presence, dtype=torch.float32)
    fractured = torch.zeros(len(presence), 7) if fractured is None else torch.as_tensor(fractured)
    for start in range(0, len(presence), batch_size):
        rows = torch.arange(start, min(start + batch_size, len(presence)))
        images = rows.to(torch.uint8)[:, None, None].expand(-1, 4, 4)
        yield SliceBatch(
            images, torch.zeros(len(rows), 3), presence[rows], fractured[rows].float(), rows,
            tuple(torch.zeros(0, 4) for _ in rows),
        )  # fmt: skip


def _only_c2(flags):
    """y_ij with the given flag at C2 and zeros elsewhere."""
    return torch.nn.functional.pad(torch.as_tensor(flags, dtype=torch.float32)[:, None], (1, 5))


def test_areas_are_those_of_scikit_learn_by_output_macro_and_pooled():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(30, 7)).astype(np.float32)
    targets = (rng.random((30, 7)) < 0.4).astype(np.float32)
    result = measure_slices(FABRIC, _Fixed(logits), _numbered(targets), criterion=VERTEBRA)
    each = [roc_auc_score(targets[:, j], logits[:, j]) for j in range(7)]
    assert list(result.auc_by_output.values()) == pytest.approx(each)
    assert list(result.auc_by_output) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert result.auc_macro == pytest.approx(np.mean(each))
    assert result.auc == pytest.approx(roc_auc_score(targets.ravel(), logits.ravel()))
    assert result.slices == 30


def test_loss_is_the_weighted_mean_over_all_slices_and_not_over_batches():
    logits = torch.linspace(-2, 2, 10)[:, None]
    fractured, unseen = _only_c2([0] * 7 + [1] * 3), torch.zeros(10, 7)
    result = measure_slices(
        FABRIC, _Fixed(logits), _numbered(unseen, fractured), criterion=FRACTURE
    )
    assert result.loss == pytest.approx(FRACTURE(logits, unseen, fractured).item(), rel=1e-6)


def test_area_of_a_single_class_is_left_open():
    targets = np.zeros((6, 7))
    targets[:3, 2] = 1
    logits = np.zeros((6, 7), np.float32)
    result = measure_slices(FABRIC, _Fixed(logits), _numbered(targets), criterion=VERTEBRA)
    assert result.auc_by_output["C1"] is None
    assert result.auc_by_output["C3"] == 0.5 == result.auc_macro
    result = measure_slices(
        FABRIC, _Fixed(logits[:, :1]), _numbered(np.zeros((6, 7))), criterion=FRACTURE
    )
    assert result.auc is result.auc_macro is result.auc_by_output["slice"] is None


@pytest.mark.parametrize("most", [4, 3, 1])
def test_a_batch_too_large_for_memory_is_trained_in_parts_with_the_same_result(most, caplog):
    class Cramped(_Linear):
        def forward(self, images, metadata=None, presence=None):
            if len(images) > most:
                raise torch.OutOfMemoryError("no room")
            return super().forward(images, metadata, presence)

    weights = []
    for kind in (_Linear, Cramped):
        state = _state(kind(1))
        train_one_epoch(FABRIC, state, _batches(_dataset()), LEARN, on_step=lambda _: False)
        weights.append([p.detach().clone() for p in state.model.parameters()])
    for whole, parts in zip(*weights, strict=True):
        torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)
    assert "too small for 8 slices at once" in caplog.text


def test_a_memory_too_small_for_one_slice_is_one_sentence():
    class Full(_Linear):
        def forward(self, images, metadata=None, presence=None):
            raise torch.OutOfMemoryError("no room")

    state = _state(Full(1))
    before = [p.detach().clone() for p in state.model.parameters()]
    with pytest.raises(TrainingError, match="lower `batch_size`"):
        train_one_epoch(FABRIC, state, _batches(_dataset()), LEARN, on_step=lambda _: False)
    for now, then in zip(state.model.parameters(), before, strict=True):
        torch.testing.assert_close(now, then)


def _trained(read_every, dataset=None, **options):
    reports, state = [], _state(_Linear(1))
    train_one_epoch(
        FABRIC, state, _batches(dataset or _dataset(40)), LEARN, read_every=read_every,
        on_step=lambda report: bool(reports.append(report)), **options,
    )  # fmt: skip
    return reports, [p.detach().clone() for p in state.model.parameters()]


def test_losses_read_at_intervals_are_those_read_at_each_step():
    (each, weights), (seldom, same) = _trained(1), _trained(2)
    assert [report.step for report in seldom] == [1, 2, 4, 5]
    assert [loss for r in seldom for loss in r.losses] == [loss for r in each for loss in r.losses]
    for one, other in zip(weights, same, strict=True):
        assert torch.equal(one, other)


class _Reads(TorchDispatchMode):
    """Counts the operations that make the processor wait for a device."""

    WAITING = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal")

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__ in self.WAITING
        return func(*args, **(kwargs or {}))


def test_a_step_does_not_wait_for_the_device():
    with _Reads() as reads:
        torch.zeros(()).item()
        assert reads.count == 1
        _trained(100)
    assert reads.count == 1


def test_a_batch_moves_without_waiting(monkeypatch):
    seen, plain = [], torch.Tensor.to

    def spy(self, *args, **kwargs):
        seen.append(kwargs)
        return plain(self, *args, **kwargs)

    batch = _dataset().batch(np.arange(3))
    monkeypatch.setattr(torch.Tensor, "to", spy)
    moved = batch.to("meta", non_blocking=True)
    assert moved.images.device.type == "meta"
    assert seen
    assert all(options == {"non_blocking": True} for options in seen)


def test_a_loss_read_late_names_the_batch_it_is_of():
    class Diverges(_Linear):
        calls = 0

        def forward(self, images, metadata=None, presence=None):
            self.calls += 1
            return super().forward(images) * (math.nan if self.calls == 2 else 1)

    state = _state(Diverges(1))
    with pytest.raises(TrainingError, match=r"loss of batch 2 in epoch 1 \(step 2\)"):
        train_one_epoch(
            FABRIC, state, _batches(_dataset(40)), LEARN, on_step=lambda _: False, read_every=4
        )


def test_early_stopping_decides_where_its_window_ends_however_seldom_losses_are_read():
    state = _state(_Linear(1))
    state.stopping = EarlyStopping(delta=10.0, patience=1, every=2)
    steps = []

    def on_step(report):
        steps.append(report.step)
        return any([state.stopping.should_stop(loss) for loss in report.losses])

    batches = _batches(_dataset(80))
    train_one_epoch(FABRIC, state, batches, LEARN, on_step=on_step, read_every=100)
    assert steps == [1, 2, 4]


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_batch_in_parts_gives_the_weights_of_the_whole(parts):
    for one, other in zip(_trained(1)[1], _trained(1, parts=parts)[1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


class _Steep(_Linear):
    """Has a finite loss and no finite gradient in some calls."""

    def __init__(self, calls):
        super().__init__(1)
        self.calls, self.count = calls, 0

    def forward(self, images, metadata=None, presence=None):
        self.count += 1
        extra = (0 * self.layer.weight.sum()).sqrt() if self.count in self.calls else 0
        return super().forward(images) + extra


def test_a_batch_whose_gradient_is_not_finite_leaves_the_weights_and_is_counted(caplog):
    state, reports, weights = _state(_Steep({2})), [], []

    def keep(report):
        reports.append(report)
        weights.append(state.network.layer.weight.detach().clone())
        return False

    with caplog.at_level("WARNING", "core.training"):
        train_one_epoch(FABRIC, state, _batches(_dataset()), LEARN, on_step=keep)
    assert [report.skipped for report in reports] == [0, 1, 1]
    assert [report.step for report in reports] == [1, 2, 3]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    assert reports[2].learning_rate < reports[1].learning_rate < reports[0].learning_rate
    assert ["Step 2 is skipped" in line for line in caplog.messages] == [True]


def test_gradients_that_are_never_finite_end_the_run_although_the_loss_is():
    state = _state(_Steep({2, 3, 4, 5, 6}))
    with pytest.raises(TrainingError, match=r"The gradient of batch 5 in epoch 1"):
        train_one_epoch(
            FABRIC, state, _batches(_dataset(), batch_size=4), LEARN, on_step=lambda _: False
        )
    assert all(torch.isfinite(p).all() for p in state.model.parameters())
