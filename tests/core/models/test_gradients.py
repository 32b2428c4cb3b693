"""Every weight of every network takes part in training.

Processes that train together wait for the gradient of each weight; one that never comes ends the
run. On torch's device "meta", which knows shapes alone, this is checked in a moment.
"""

from __future__ import annotations

import pytest
import torch

from core.models.backbone_table import BACKBONES
from core.models.localizer import Localizer
from core.models.pyramid import PYRAMIDS, PyramidBackbone
from core.models.registry import MODELS, build_model


def lacking(network):
    return [name for name, weights in network.named_parameters() if weights.grad is None]


# The heads are the same on every backbone.
NETWORKS = [
    *((*kind, "mobilenet_v3_large") for kind in MODELS),
    *(("fracture", 3, name) for name in BACKBONES if name != "mobilenet_v3_large"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "type", "backbone"), NETWORKS)
def test_each_weight_of_a_slice_network_has_a_gradient(task, type, backbone):
    network = build_model(task, type, backbone).to("meta")
    with torch.device("meta"):
        spec = BACKBONES[backbone]
        size = max(-(-spec.min_size // spec.multiple) * spec.multiple, 96)
        images = torch.zeros(2, size, size, dtype=torch.uint8)
        network(images, torch.zeros(2, 3), torch.zeros(2, 7)).sum().backward()
    assert lacking(network) == []


@pytest.mark.parametrize("backbone", PYRAMIDS)
def test_each_weight_of_a_pyramid_has_a_gradient(backbone):
    network = PyramidBackbone(backbone).to("meta")
    with torch.device("meta"):
        maps = network(torch.zeros(2, 3, 64, 64))
        torch.stack([one.sum() for one in maps.values()]).sum().backward()
    assert len(maps) == PYRAMIDS[backbone].levels
    assert lacking(network) == []


def small():
    anchors = tuple(((8.0 * 2**level, 8.0 * 2**level),) for level in range(3))
    return Localizer("mobilenet_v3_large", anchors, size=64)


def test_each_weight_of_a_localiser_has_a_gradient():
    torch.manual_seed(0)
    network = small()
    boxes = (torch.tensor([[8.0, 8, 24, 24]]), torch.zeros(0, 4))
    losses = network(torch.randint(0, 255, (2, 64, 64), dtype=torch.uint8), boxes)
    torch.stack(list(losses.values())).sum().backward()
    assert lacking(network) == []


def test_weights_of_an_older_localiser_fit():
    """They hold the block of a map that nothing used."""
    old = small().state_dict() | {
        "detector.backbone.fpn.layer_blocks.3.0.weight": torch.zeros(64, 64, 3, 3),
        "detector.backbone.fpn.layer_blocks.3.0.bias": torch.zeros(64),
    }
    small().load_state_dict(old, strict=True)
    stray = {"detector.backbone.fpn.layer_blocks.9.0.bias": torch.zeros(64)}
    with pytest.raises(RuntimeError, match="layer_blocks"):
        small().load_state_dict(old | stray, strict=True)
