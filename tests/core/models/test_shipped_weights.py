"""The bundles in git give the outputs of torchvision's networks with their weights."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from torchvision.models import get_model

from core.config import PROJECT_ROOT
from core.models.bundles import list_bundles
from core.models.checkpoint import load_model

NORMALISATION = {
    "googlenet": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "mobilenet_v3_large": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
LAST = {"googlenet": "fc", "mobilenet_v3_large": "classifier"}
BUNDLES = [
    bundle
    for bundle in list_bundles(PROJECT_ROOT / "checkpoints")
    if bundle.config.type == 1
    and bundle.config.backbone in LAST
    and bundle.config.task != "localization"
    and bundle.config.head != "dense"
]


def _by_hand(bundle, images):
    """Logits from torchvision's own network and the formulas of the head."""
    name = bundle.config.backbone
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    network = get_model(name, weights=None, **options)
    setattr(network, LAST[name], nn.Identity())
    weights = {key: t.float() if t.is_floating_point() else t for key, t in _state(bundle).items()}
    network.load_state_dict(
        {key.removeprefix("backbone."): t for key, t in weights.items() if key[0] == "b"}
    )
    network = network.eval().to(memory_format=torch.channels_last)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in NORMALISATION[name])
    pixels = images if images.ndim == 4 else images.unsqueeze(1)
    normalised = (pixels.float() / 255.0 - mean) / std
    features = network(normalised.contiguous(memory_format=torch.channels_last))
    hidden = functional.linear(features, weights["head.0.weight"], weights["head.0.bias"])
    hidden = functional.prelu(hidden, weights["head.1.weight"])
    return functional.linear(hidden, weights["head.3.weight"], weights["head.3.bias"])


def _state(bundle):
    return load_file(bundle.weights_file)


@pytest.mark.parametrize("bundle", BUNDLES, ids=[bundle.config.name for bundle in BUNDLES])
def test_a_shipped_type_1_bundle_answers_as_torchvisions_network_does(bundle):
    generator = torch.Generator().manual_seed(0)
    how = bundle.config.preparation
    side = how.size
    shape = (2, side, side) if how.channels == "grey" else (2, 3, side, side)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        # Not bit by bit: with several threads, oneDNN may add up in another order.
        torch.testing.assert_close(
            load_model(bundle)(images), _by_hand(bundle, images), rtol=1e-4, atol=1e-4
        )
