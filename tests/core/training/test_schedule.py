"""The schedule is torch's, and estimates follow from arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from core.config import RunConfig
from core.constants import BackboneName
from core.training.schedule import (
    COST_GMAC,
    Pace,
    estimate_run,
    one_cycle,
    rising_share,
    scheduled_steps,
)


@pytest.mark.parametrize("pct_start", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("total_steps", [1, 2, 4, 5, 37, 1000])
def test_the_learning_rates_are_those_of_torch(total_steps, pct_start):
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = OneCycleLR(
        optimizer, max_lr=3e-3, total_steps=scheduled_steps(total_steps),
        pct_start=rising_share(total_steps, pct_start),
    )  # fmt: skip
    expected = []
    for step in range(total_steps):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if step + 1 < total_steps:
            scheduler.step()
    np.testing.assert_allclose(one_cycle(3e-3, total_steps, pct_start), expected, rtol=1e-9)


def config(**changes):
    given = {"task": "fracture", "backbone": "googlenet", "size": 192, "data_root": "/d"} | changes
    return RunConfig(**given)


def test_a_known_pace_gives_images_over_pace():
    paces = [Pace("resnet50", 192, "32-true", 1.0), Pace("googlenet", 192, "32-true", 50.0)]
    found = estimate_run(config(batch_size=10, epochs=2), 1000, 10, paces)
    assert (found.steps, found.seconds) == (160, pytest.approx(1600 / 50))
    assert "of this network at this size" in found.basis
    assert found.is_measured


def test_measuring_the_held_out_slices_counts_a_third_per_image():
    """200 of 1,000 slices are held out and seen twice; no gradient, so 150 of them per second."""
    paces = [Pace("googlenet", 192, "32-true", 50.0)]
    found = estimate_run(config(batch_size=10, epochs=2), 1000, 10, paces)
    assert found.measuring_seconds == pytest.approx(2 * 200 / 150)
    assert found.total_seconds == pytest.approx(1600 / 50 + 2 * 200 / 150)
    every = estimate_run(config(batch_size=10, epochs=2, fold="all"), 1000, 10, paces)
    assert every.measuring_seconds == pytest.approx(5 * found.measuring_seconds)
    assert estimate_run(config(fold=None), 1000, 10, paces).measuring_seconds == 0
    assert estimate_run(config(), 1000, 10, []).total_seconds is None


def test_all_folds_take_as_many_times_as_there_are_folds():
    paces = [Pace("googlenet", 192, "32-true", 50.0)]
    one, every = (estimate_run(config(fold=f), 1000, 10, paces) for f in (0, "all"))
    assert every.seconds / one.seconds == pytest.approx(5)


def test_slices_a_study_cap_an_epoch():
    paces = [Pace("googlenet", 192, "32-true", 50.0)]
    found = estimate_run(config(slices_per_study=8, fold=None, batch_size=4), 1000, 10, paces)
    assert found.steps == 20


def test_another_network_or_size_is_scaled_and_called_rough():
    paces = [Pace("googlenet", 192, "32-true", 50.0)]
    heavier = estimate_run(config(backbone="vgg16_bn"), 1000, 10, paces)
    larger = estimate_run(config(size=384), 1000, 10, paces)
    same = estimate_run(config(), 1000, 10, paces)
    assert heavier.seconds > same.seconds
    assert larger.seconds == pytest.approx(4 * same.seconds)
    assert "roughly" in larger.basis
    assert not larger.is_measured


def test_without_an_earlier_run_the_time_is_unknown_and_the_steps_are_not():
    found = estimate_run(config(batch_size=8, fold=None), 100, 10, [])
    assert (found.steps, found.seconds) == (12, None)


def test_no_slices_make_no_steps():
    assert estimate_run(config(), 0, 0, []).steps == 0


def test_every_backbone_has_a_cost():
    assert set(BackboneName.__args__) <= set(COST_GMAC)
