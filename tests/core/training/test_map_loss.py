"""The focal loss on the cells of a line map."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.training.losses import loss_for
from core.training.map_loss import MapLoss, box_cells, map_truth


def only(j, n=1):
    y = torch.zeros(n, 7)
    y[:, j] = 1.0
    return y


def test_cells_with_their_centre_in_a_box_show_the_line():
    # 4 x 8 cells: centres at (k + 0.5) / 8 across and (k + 0.5) / 4 down.
    found = box_cells(torch.tensor([[0.25, 0.25, 0.5, 0.75]]), rows=4, columns=8)
    expected = np.zeros((4, 8))
    expected[1:3, 2:4] = 1
    np.testing.assert_array_equal(found, expected)


def test_a_box_between_centres_marks_one_cell_in_each_direction():
    found = box_cells(torch.tensor([[0.26, 0.01, 0.30, 0.99]]), rows=4, columns=4)
    assert found[:, 1].tolist() == [1, 1, 1, 1]
    assert found.sum() == 4
    assert box_cells(torch.zeros(0, 4), 3, 3).sum() == 0


def test_the_loss_of_four_cells_worked_by_hand():
    # One map of 1 x 4 cells, the box over the second: p = 1/2, 1/5, 1/5, 4/5.
    logits = torch.log(torch.tensor([1.0, 0.25, 0.25, 4.0])).reshape(1, 1, 1, 4)
    boxes = [torch.tensor([[0.25, 0.0, 0.5, 1.0]])]
    total, weight = MapLoss(1).sums(logits, boxes, only(3))
    missed = 0.25 * 0.8**2 * -math.log(0.2)
    false = 0.75 * (0.5**2 * math.log(2) - 0.2**2 * math.log(0.8) - 0.8**2 * math.log(0.2))
    assert total.item() == pytest.approx(missed + false, rel=1e-5)
    assert weight.item() == 1


def test_a_positive_slice_without_a_box_has_no_known_cell():
    logits = torch.randn(2, 7, 4, 4)
    none = [torch.zeros(0, 4), torch.zeros(0, 4)]
    fractured = torch.zeros(2, 7)
    fractured[0, 2] = 1.0
    truth, known = map_truth(logits.shape, none, fractured)
    assert truth.sum() == 0
    assert known[0].tolist() == [1, 1, 0, 1, 1, 1, 1]
    assert known[1].tolist() == [1] * 7
    changed = logits.clone()
    changed[0, 2] += 5.0
    loss = MapLoss(7)
    assert loss.sums(changed, none, fractured)[0] == loss.sums(logits, none, fractured)[0]
    single, _ = map_truth((2, 1, 4, 4), none, fractured)[1], None
    assert single[:, 0].tolist() == [0, 1]


def test_only_the_fractured_vertebras_map_shows_the_box():
    boxes = [torch.tensor([[0.0, 0.0, 1.0, 1.0]])]
    truth, known = map_truth((1, 7, 2, 2), boxes, only(4))
    assert truth[0, 4].min() == 1
    assert truth.sum() == 4
    assert known.min() == 1


def test_the_weight_without_the_maps_is_that_of_the_maps():
    generator = torch.Generator().manual_seed(0)
    fractured = (torch.rand(3, 7, generator=generator) > 0.5).float()
    boxes = [torch.tensor([[0.1, 0.2, 0.4, 0.9]]), torch.zeros(0, 4), torch.rand(1, 4)]
    boxes[2][:, 2:] += boxes[2][:, :2]
    loss = MapLoss(7)
    for size, side in ((64, 16), (144, 36), (90, 23)):
        maps = torch.zeros(3, 7, side, side)
        assert loss.weight(size, boxes, fractured) == loss.sums(maps, boxes, fractured)[1]


def test_a_batch_without_any_line_is_not_divided_by_nothing():
    criterion = loss_for("fracture", 1, head="dense")
    totals = torch.tensor([1.0, 3.0])
    assert criterion.combine(totals, torch.tensor([2.0, 0.0])).item() == pytest.approx(3.5)
    assert criterion.combine(totals, torch.tensor([2.0, 6.0])).item() == pytest.approx(1.0)


def test_type_three_weighs_its_maps_like_its_fracture_loss():
    criterion = loss_for("fracture", 3, alpha=2.0, head="dense")
    ones = torch.ones(3)
    assert criterion.combine(ones, ones).item() == pytest.approx(2 + 1 + 2)
    assert loss_for("fracture", 3).map_loss is None
