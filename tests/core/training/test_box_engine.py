"""A localiser trains in parts on a batch too large for memory."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from core.errors import TrainingError
from core.prepared.box_dataset import BoxBatch
from core.training.box_engine import add_box_gradients

FABRIC = Fabric(accelerator="cpu", devices=1)


class Toy(nn.Module):
    """Two losses, means over slices, as far as the memory takes `most` of them."""

    def __init__(self, most):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5, -1.0]))
        self.most = most
        self.seen = []

    def forward(self, images, boxes):
        if len(images) > self.most:
            raise torch.OutOfMemoryError("no room")
        self.seen.append(len(images))
        assert len(boxes) == len(images)
        edges = torch.stack([box.sum() for box in boxes])
        brightness = images.float().mean(dim=(1, 2))
        return {
            "a": (self.weight[0] * edges).square().mean(),
            "b": (self.weight[1] * brightness - edges).square().mean(),
        }


def made_batch():
    chance = torch.Generator().manual_seed(0)
    boxes = tuple(torch.rand((k % 3, 4), generator=chance) for k in range(7))
    images = torch.randint(0, 9, (7, 4, 4), generator=chance, dtype=torch.uint8)
    return BoxBatch(images, boxes, torch.arange(7))


def gradients(most):
    model = Toy(most)
    wrapped = FABRIC.setup(model)
    value, parts = add_box_gradients(FABRIC, wrapped, made_batch(), 1)
    return float(value), parts, model.weight.grad, model.seen


@pytest.mark.parametrize(("most", "expected"), [(4, [4, 3]), (3, [2, 2, 2, 1]), (1, [1] * 7)])
def test_parts_add_up_to_the_gradient_of_the_batch(most, expected, caplog):
    value, parts, gradient, seen = gradients(most)
    whole_value, one, whole, _ = gradients(100)
    assert (one, parts) == (1, len(expected))
    # Nothing of the attempts that failed is left in the gradient.
    assert seen[-parts:] == expected
    torch.testing.assert_close(gradient, whole)
    assert value == pytest.approx(whole_value)
    assert "too small for 7 slices at once" in caplog.text


def test_a_memory_too_small_for_one_slice_is_one_sentence():
    with pytest.raises(TrainingError, match="lower `batch_size`"):
        gradients(0)
