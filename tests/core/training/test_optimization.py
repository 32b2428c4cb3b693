"""Groups of weights, their rates and decay, and their moving average."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from core.config import RunConfig
from core.training.optimization import WeightAverage, optimizer_for, schedule_for
from core.training.schedule import one_cycle


def config_of(**options):
    return RunConfig(task="fracture", data_root="/nowhere", max_lr=0.01, **options)


def network():
    torch.manual_seed(0)
    parts = {
        "backbone": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
        "head": nn.Sequential(nn.Linear(4, 5), nn.PReLU(), nn.Linear(5, 1)),
    }
    return nn.ModuleDict(parts)


def by_name(optimizer, model):
    names = {id(weights): name for name, weights in model.named_parameters()}
    return {names[id(w)]: group for group in optimizer.param_groups for w in group["params"]}


def test_adam_keeps_one_group_in_the_order_of_the_network():
    model = network()
    optimizer = optimizer_for(config_of(weight_decay=0.1), model)
    plain = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1)
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.state_dict() == plain.state_dict()


def test_adamw_does_not_decay_norms_biases_and_slopes():
    model = network()
    optimizer = optimizer_for(config_of(optimizer="adamw", weight_decay=0.1), model)
    decays = {name for name, group in by_name(optimizer, model).items() if group["weight_decay"]}
    assert type(optimizer) is torch.optim.AdamW
    assert decays == {"backbone.0.weight", "head.0.weight", "head.2.weight"}
    assert len(by_name(optimizer, model)) == len(list(model.parameters()))
    before = copy.deepcopy(model.state_dict())
    for weights in model.parameters():
        weights.grad = torch.zeros_like(weights)
    optimizer.step()
    for name, weights in model.named_parameters():
        factor = 1 - 0.01 * 0.1 if name in decays else 1.0
        torch.testing.assert_close(weights.detach(), before[name] * factor)


def test_the_backbone_follows_the_cycle_at_its_own_rate():
    model = network()
    optimizer = optimizer_for(config_of(backbone_lr_share=0.1), model)
    schedule = schedule_for(config_of(backbone_lr_share=0.1), optimizer, 20)
    rates = []
    for _ in range(20):
        groups = by_name(optimizer, model)
        rates.append((groups["backbone.0.weight"]["lr"], groups["head.0.weight"]["lr"]))
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose([rate for rate, _ in rates], one_cycle(0.001, 20, 0.3))
    np.testing.assert_allclose([rate for _, rate in rates], one_cycle(0.01, 20, 0.3))


def test_a_localisers_backbone_is_its_body():
    model = nn.ModuleDict(
        {"detector": nn.ModuleDict({"backbone": nn.ModuleDict(
            {"body": nn.Linear(2, 2), "fpn": nn.Linear(2, 2)})})}
    )  # fmt: skip
    groups = by_name(optimizer_for(config_of(backbone_lr_share=0.5), model), model)
    assert groups["detector.backbone.body.weight"]["lr"] == pytest.approx(0.005)
    assert groups["detector.backbone.fpn.weight"]["lr"] == pytest.approx(0.01)


def test_the_average_is_the_weighted_sum_of_all_weights_so_far():
    model = nn.BatchNorm1d(1)
    values = np.random.default_rng(0).normal(size=30)
    average = WeightAverage(model, decay=0.8)
    expected = model.weight.item()
    for step, value in enumerate(values, start=1):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(step)
        average.update(model, step)
        kept = min(0.8, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
    assert average.network.weight.item() == pytest.approx(expected, rel=1e-5)
    assert average.network.running_mean.item() == 30
    assert not average.network.weight.requires_grad
    assert model.weight.item() == pytest.approx(values[-1])
